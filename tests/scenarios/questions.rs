//! Questions about a collection that changes while it is kept in memory: an answer is never older than what is stored.

use std::rc::Rc;

use holdfast::engine::{Commit, Event, Page};
use holdfast::model::Strategy;
use holdfast::plan::write::Action;
use holdfast::query::{Totals, read_aggregate, read_query};

use crate::till::doc;
use crate::world::World;

const OPEN: &str = r#"{"where":{"n":{"gte":2}},"orderBy":{"field":"n","direction":"desc"}}"#;

fn asks(world: &mut World, query: &str) -> Page {
    let engine = Rc::clone(&world.engine);
    world.until(engine.list("orders", read_query(query).unwrap())).unwrap()
}

fn sums(world: &mut World) -> Vec<Totals> {
    let engine = Rc::clone(&world.engine);
    let asked = read_aggregate(r#"{"groupBy":"kind","sum":"n"}"#).unwrap();
    world.until(engine.aggregate("orders", asked)).unwrap().0
}

fn ids(page: &Page) -> String {
    page.items.iter().map(|entity| &*entity.id).collect()
}

fn reads(world: &World) -> u32 {
    world.engine.host().shelf.lists.get()
}

/// What a tab tells the others.
fn told(world: &World) -> Vec<Commit> {
    let commit = |event: Event| if let Event::Commit(commit) = event { Some(commit) } else { None };
    world.events.borrow_mut().drain(..).filter_map(commit).collect()
}

fn hears(world: &mut World, commits: Vec<Commit>) {
    let engine = Rc::clone(&world.engine);
    for commit in commits {
        world.until(engine.heard_commit(commit)).unwrap();
    }
}

/// P11: what was written is in the next answer, and the collection is read whole but once.
#[test]
fn own_writes_are_in_the_next_answer() {
    let mut world = World::new(Strategy::Merge);
    assert_eq!(ids(&asks(&mut world, OPEN)), "");
    for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
        world.writes(id, Action::Create(doc(&format!(r#"{{"n":{n}}}"#))));
    }
    assert_eq!(ids(&asks(&mut world, OPEN)), "cb");
    world.patches("a", r#"{"n":9}"#);
    world.writes("c", Action::Remove);
    assert_eq!(ids(&asks(&mut world, OPEN)), "ab");
    world.drains();
    world.server().writes("d", r#"{"n":4,"kind":"x"}"#);
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    let page = asks(&mut world, OPEN);
    assert_eq!((ids(&page), page.complete), ("adb".to_owned(), true));
    assert_eq!(sums(&mut world).len(), 2);
    world.creates("e");
    assert_eq!(ids(&asks(&mut world, r#"{"where":{"$state":"pending"}}"#)), "e");
    assert_eq!(reads(&world), 1);
}

/// P11, P24: another tab's commit is in the answer, whether its message came, comes later or never does.
#[test]
fn another_tabs_writes_are_in_the_next_answer() {
    let one = World::new(Strategy::Merge);
    let mut other = World::on(one.disk(), Strategy::Merge);
    one.creates("a");
    assert_eq!(ids(&asks(&mut other, "{}")), "a");
    one.creates("b");
    hears(&mut other, told(&one));
    assert_eq!((ids(&asks(&mut other, "{}")), reads(&other)), ("ab".to_owned(), 1));
    one.creates("c");
    let late = told(&one);
    assert_eq!((ids(&asks(&mut other, "{}")), reads(&other)), ("abc".to_owned(), 2));
    hears(&mut other, late);
    one.creates("d");
    hears(&mut other, told(&one));
    assert_eq!((ids(&asks(&mut other, "{}")), reads(&other)), ("abcd".to_owned(), 2));
}

/// The answers of a table are those of the rows, whatever two tabs do and whichever messages are lost.
#[test]
fn a_table_shows_what_is_stored() {
    for seed in 0..10u64 {
        let mut lots = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |most: u64| {
            lots = lots
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (lots >> 33) % most
        };
        let one = World::new(Strategy::Merge);
        let mut tabs = [World::on(one.disk(), Strategy::Merge), one];
        for step in 0..40 {
            let at = usize::try_from(draw(2)).unwrap();
            let id = ["a", "b", "c", "d", "e"][usize::try_from(draw(5)).unwrap()];
            let n = draw(5);
            let text = format!(
                r#"{{"n":{n},"kind":"{}"}}"#,
                ["x", "y"][usize::try_from(draw(2)).unwrap()]
            );
            // What is refused leaves everything as it is.
            match draw(6) {
                0 | 1 => drop(tabs[at].tries(id, Action::Create(doc(&text)))),
                2 | 3 => drop(tabs[at].tries(id, Action::Patch(doc(&text)))),
                4 => drop(tabs[at].tries(id, Action::Remove)),
                _ => {
                    let engine = Rc::clone(&tabs[1].engine);
                    tabs[1].server().writes(id, &text);
                    drop(tabs[1].until(engine.sync_now()));
                }
            }
            let commits = told(&tabs[at]);
            if draw(4) > 0 {
                hears(&mut tabs[1 - at], commits);
            }
            let query = [OPEN, "{}", r#"{"where":{"kind":"x"},"orderBy":["n"],"limit":2}"#];
            let query = query[usize::try_from(draw(3)).unwrap()];
            let mut fresh = World::on(tabs[0].disk(), Strategy::Merge);
            let reader = &mut tabs[usize::try_from(draw(2)).unwrap()];
            assert_eq!(asks(reader, query), asks(&mut fresh, query), "seed {seed}, step {step}");
            assert_eq!(sums(reader), sums(&mut fresh), "seed {seed}, step {step}");
        }
    }
}

//! Every fault: what a client sees of it, and that the same request afterwards has one effect.

use super::common::{Server, body, create};

#[test]
fn every_fault_shows_itself_and_loses_nothing() {
    // Name, whether the struck request was applied, what came back.
    for (fault, applied, check) in [
        ("drop:2@push", false, (|a| a.is_none()) as fn(Option<super::common::Answer>) -> bool),
        ("apply-then-drop:2@push", true, |a| a.is_none()),
        ("html:2@push", false, |a| {
            a.is_some_and(|a| a.status == 200 && a.headers["content-type"].starts_with("text/html"))
        }),
        ("half:2@push", true, |a| {
            a.is_some_and(|a| a.status == 200 && a.whole && !a.is_ours() && a.body.starts_with('{'))
        }),
        ("cut:2@push", true, |a| {
            a.is_none_or(|a| a.status == 200 && !a.whole && !a.body.contains(r#""end""#))
        }),
        ("empty:2@push", true, |a| a.is_some_and(|a| a.status == 200 && a.body.is_empty())),
        ("401:2@push", false, |a| a.is_some_and(|a| a.status == 401 && a.is_ours())),
        ("413:2@push", false, |a| a.is_some_and(|a| a.status == 413 && a.is_ours())),
        ("429:2@push", false, |a| {
            a.is_some_and(|a| a.status == 429 && a.headers["retry-after"] == "1" && a.is_ours())
        }),
        ("503:2@push", false, |a| {
            a.is_some_and(|a| a.status == 503 && a.headers["retry-after"] == "1")
        }),
        ("502:2@push", false, |a| a.is_some_and(|a| a.status == 502 && !a.is_ours())),
        ("5xx:2@push", false, |a| a.is_some_and(|a| a.status == 500 && a.is_ours())),
        ("delay:1@push", true, |a| a.is_some_and(|a| a.status == 200 && a.is_ours())),
    ] {
        let server =
            Server::with_faults(&format!("fault-{}", fault.replace([':', '@'], "-")), &[fault]);
        let sale = body(&[create("b", "p", 7)]);
        assert!(server.push(&body(&[create("a", "o", 5)])).unwrap().is_ours(), "{fault}: first");
        let struck = server.push(&sale);
        assert!(check(struck.clone()), "{fault}: {struck:?}");
        assert_eq!(server.audit().effects, if applied { 2 } else { 1 }, "{fault}");
        let again = server.push(&sale).unwrap();
        assert!(again.is_ours(), "{fault}: third");
        assert_eq!(again.body.contains("duplicate"), applied, "{fault}");
        assert!(server.pull("").unwrap().is_ours(), "{fault}: pulls are not its business");
        let audit = server.audit();
        assert_eq!((audit.effects, audit.max_effects, audit.orders.cents), (2, 1, 12), "{fault}");
    }
}

#[test]
fn a_fault_of_pulls_and_one_of_both() {
    let server = Server::with_faults("fault-pull", &["drop:2@pull", "empty:3"]);
    assert!(server.pull("").unwrap().is_ours());
    assert!(server.pull("").is_none());
    assert!(server.push(&body(&[])).unwrap().is_ours());
    assert!(server.pull("").unwrap().body.is_empty());
    assert!(server.push(&body(&[])).unwrap().is_ours());
}

//! The order file: tab-separated lines of real sales, made into a menu and sales in whole cents.
//!
//! One line is one line of an order: `order_id`, `quantity`, `item_name`, `choice_description` (the
//! word `NULL` for none) and `item_price`, which is the price of the whole line, not of one piece.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, bail};
use serde_json::{Value, json};

const HEADER: &str = "order_id\tquantity\titem_name\tchoice_description\titem_price";
/// Beyond these a number is a slip of the pen.
const MOST_PIECES: u64 = 10_000;
const MOST_CENTS: u64 = 10_000_000;

/// What a shop needs for a day.
#[derive(Debug, Default)]
pub(super) struct Shop {
    menu: Vec<MenuItem>,
    orders: Vec<Order>,
    /// The lines that were skipped.
    pub(super) malformed: Vec<Malformed>,
}

/// The sums over all orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) menu: u64,
    pub(super) orders: u64,
    pub(super) lines: u64,
    pub(super) cents: u64,
}

/// A line that says nothing certain; `line` counts from 1, the header included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) why: String,
}

#[derive(Debug)]
struct MenuItem {
    name: String,
    /// Of one piece: more than one where the choice decides.
    prices: BTreeSet<u64>,
}

#[derive(Debug)]
struct Order {
    number: u64,
    lines: Vec<OrderLine>,
}

#[derive(Debug)]
struct OrderLine {
    item: usize,
    choice: Option<String>,
    quantity: u64,
    cents: u64,
}

struct Fields<'a> {
    order: u64,
    quantity: u64,
    item: &'a str,
    choice: Option<&'a str>,
    cents: u64,
}

/// Reads an order file. A malformed line is skipped and named.
///
/// # Errors
/// The file has no header, or another one: then nobody knows what its columns mean.
pub(super) fn read(bytes: &[u8]) -> Result<Shop> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut lines = whole.split(|byte| *byte == b'\n').map(without_return).zip(1..);
    match lines.next() {
        Some((header, _)) if header == HEADER.as_bytes() => {}
        _ => bail!("line 1 is not the header `{}`", HEADER.replace('\t', " ")),
    }
    let mut shop = Shop::default();
    let mut items = HashMap::new();
    let mut by_number = BTreeMap::new();
    let mut last = None;
    for (line, number) in lines {
        let fields = match fields(line) {
            // An order is rung up at once; the same number later on is another one, or a mistake.
            Ok(f) if last != Some(f.order) && by_number.contains_key(&f.order) => {
                Err(format!("order {} was closed by another order before", f.order))
            }
            other => other,
        };
        let fields = match fields {
            Ok(fields) => fields,
            Err(why) => {
                shop.malformed.push(Malformed { line: number, why });
                continue;
            }
        };
        last = Some(fields.order);
        let item = *items.entry(fields.item.to_owned()).or_insert_with(|| {
            shop.menu.push(MenuItem { name: fields.item.to_owned(), prices: BTreeSet::new() });
            shop.menu.len() - 1
        });
        if fields.cents.is_multiple_of(fields.quantity)
            && let Some(item) = shop.menu.get_mut(item)
        {
            item.prices.insert(fields.cents / fields.quantity);
        }
        let at = *by_number.entry(fields.order).or_insert_with(|| {
            shop.orders.push(Order { number: fields.order, lines: Vec::new() });
            shop.orders.len() - 1
        });
        if let Some(order) = shop.orders.get_mut(at) {
            order.lines.push(OrderLine {
                item,
                choice: fields.choice.map(str::to_owned),
                quantity: fields.quantity,
                cents: fields.cents,
            });
        }
    }
    Ok(shop)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn fields(line: &[u8]) -> Result<Fields<'_>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let columns: Vec<&str> = line.split('\t').collect();
    let [order, quantity, item, choice, price] = columns[..] else {
        return Err(format!("{} columns instead of 5", columns.len()));
    };
    let number = |name: &str, text: &str, most: u64| {
        let value = digits(text).filter(|value| (1..=most).contains(value));
        value.ok_or_else(|| format!("{name} `{text}` is not a whole number from 1 to {most}"))
    };
    let text = |name: &str, text: &str| {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("{name} `{}` is no text", text.escape_debug()));
        }
        Ok(())
    };
    text("item_name", item)?;
    text("choice_description", choice)?;
    Ok(Fields {
        order: number("order_id", order, u64::from(u32::MAX))?,
        quantity: number("quantity", quantity, MOST_PIECES)?,
        item: item.trim(),
        choice: Some(choice.trim()).filter(|choice| *choice != "NULL"),
        cents: cents(price)
            .filter(|cents| *cents <= MOST_CENTS)
            .ok_or_else(|| format!("item_price `{price}` is not dollars and cents"))?,
    })
}

/// `$2.39`, with spaces behind it; no sign, no third decimal, nothing to round.
fn cents(price: &str) -> Option<u64> {
    let (dollars, rest) = price.trim_end_matches(' ').strip_prefix('$')?.split_once('.')?;
    if rest.len() != 2 {
        return None;
    }
    digits(dollars)?.checked_mul(100)?.checked_add(digits(rest)?)
}

/// `parse` alone would take a plus sign.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl Shop {
    pub(super) fn figures(&self) -> Figures {
        let lines = || self.orders.iter().flat_map(|order| &order.lines);
        Figures {
            menu: self.menu.len() as u64,
            orders: self.orders.len() as u64,
            lines: lines().count() as u64,
            cents: lines().map(|line| line.cents).sum(),
        }
    }

    /// The menu as records: `{id, document}`.
    pub(super) fn menu(&self) -> Vec<Value> {
        let record = |(at, item): (usize, &MenuItem)| json!({"id": item_id(at), "document": {"name": item.name, "prices": item.prices}});
        self.menu.iter().enumerate().map(record).collect()
    }

    /// The sales as records: `{id, document}`, `order-<n>` each.
    pub(super) fn orders(&self) -> Vec<Value> {
        self.orders
            .iter()
            .map(|order| {
                let lines: Vec<Value> = order.lines.iter().map(|line| self.line(line)).collect();
                let total: u64 = order.lines.iter().map(|line| line.cents).sum();
                json!({
                    "id": format!("order-{}", order.number),
                    "document": {"status": "paid", "lines": lines, "total": total},
                })
            })
            .collect()
    }

    fn line(&self, line: &OrderLine) -> Value {
        let name = self.menu.get(line.item).map(|item| item.name.as_str());
        json!({
            "item": item_id(line.item),
            "name": name,
            "choice": line.choice,
            "quantity": line.quantity,
            "cents": line.cents,
        })
    }
}

fn item_id(at: usize) -> String {
    format!("item-{}", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    fn shop(lines: &[&str]) -> Shop {
        let mut file = HEADER.to_owned();
        for line in lines {
            file.push('\n');
            file.push_str(line);
        }
        read(file.as_bytes()).unwrap()
    }

    /// Reads one good line after the bad one, which must not have disturbed it.
    fn why(line: &str) -> String {
        let shop = shop(&[line, "7\t1\tTea\tNULL\t$1.50 "]);
        assert_eq!(shop.figures(), Figures { menu: 1, orders: 1, lines: 1, cents: 150 });
        let [malformed] = &shop.malformed[..] else { panic!("{:?}", shop.malformed) };
        assert_eq!(malformed.line, 2);
        malformed.why.clone()
    }

    #[test]
    fn an_order_is_its_lines_and_a_price_is_of_the_whole_line() {
        let shop = shop(&[
            "1\t2\tTea\t[Green, [Hot]]\t$3.00 ",
            "1\t1\tCake\tNULL\t$2.39",
            "2\t1\tTea\tNULL\t$1.75 ",
        ]);
        assert_eq!(shop.malformed, []);
        assert_eq!(shop.figures(), Figures { menu: 2, orders: 2, lines: 3, cents: 714 });
        assert_eq!(
            shop.menu(),
            [
                json!({"id": "item-1", "document": {"name": "Tea", "prices": [150, 175]}}),
                json!({"id": "item-2", "document": {"name": "Cake", "prices": [239]}}),
            ]
        );
        assert_eq!(
            shop.orders()[0],
            json!({"id": "order-1", "document": {"status": "paid", "total": 539, "lines": [
                {"item": "item-1", "name": "Tea", "choice": "[Green, [Hot]]", "quantity": 2, "cents": 300},
                {"item": "item-2", "name": "Cake", "choice": null, "quantity": 1, "cents": 239},
            ]}})
        );
    }

    #[test]
    fn a_price_that_does_not_divide_is_not_divided() {
        let shop = shop(&["1\t3\tTea\tNULL\t$1.00 "]);
        assert_eq!(shop.menu()[0]["document"]["prices"], json!([]));
        assert_eq!(shop.figures().cents, 100);
    }

    #[test]
    fn a_malformed_line_is_named_and_skipped() {
        for (line, word) in [
            ("1\t1\tCake\tNULL", "4 columns"),
            ("1\t1\tCake\tNULL\t$2.39 \t", "6 columns"),
            ("", "1 columns"),
            ("x\t1\tCake\tNULL\t$2.39 ", "order_id"),
            ("0\t1\tCake\tNULL\t$2.39 ", "order_id"),
            ("-1\t1\tCake\tNULL\t$2.39 ", "order_id"),
            ("+1\t1\tCake\tNULL\t$2.39 ", "order_id"),
            ("99999999999999999999\t1\tCake\tNULL\t$2.39 ", "order_id"),
            ("1\t\tCake\tNULL\t$2.39 ", "quantity"),
            ("1\t0\tCake\tNULL\t$2.39 ", "quantity"),
            ("1\t1.5\tCake\tNULL\t$2.39 ", "quantity"),
            ("1\t10001\tCake\tNULL\t$2.39 ", "quantity"),
            ("1\t1\t \tNULL\t$2.39 ", "item_name"),
            ("1\t1\tCa\u{7}ke\tNULL\t$2.39 ", "item_name"),
            ("1\t1\tCake\t\t$2.39 ", "choice_description"),
        ] {
            assert!(why(line).contains(word), "{line:?}: {}", why(line));
        }
    }

    #[test]
    fn a_price_is_never_rounded_or_completed() {
        for price in [
            "2.39",
            "$2.395",
            "$2.3",
            "$2",
            "$2.",
            "$.39",
            "$-2.39",
            "-$2.39",
            "$+2.39",
            "$2,39",
            "$1,000.00",
            "$2.39x",
            "€2.39",
            "$",
            "",
            "$2.3 9",
            "$100000.01",
            "$99999999999999999999.00",
        ] {
            assert!(why(&format!("1\t1\tCake\tNULL\t{price}")).contains("item_price"), "{price}");
        }
        assert_eq!(cents("$0.05   "), Some(5));
        assert_eq!(cents("$100000.00"), Some(MOST_CENTS));
    }

    #[test]
    fn the_number_of_a_line_counts_the_header_and_skipped_lines() {
        let shop = shop(&["1\t1\tTea\tNULL\t$1.00", "?", "2\t1\tTea\tNULL\t$1.00", "", "?"]);
        assert_eq!(shop.malformed.iter().map(|m| m.line).collect::<Vec<_>>(), [3, 5, 6]);
        assert_eq!(shop.figures().orders, 2);
    }

    #[test]
    fn an_order_that_comes_back_later_is_not_joined() {
        let shop = shop(&[
            "1\t1\tTea\tNULL\t$1.00",
            "2\t1\tTea\tNULL\t$1.00",
            "1\t1\tCake\tNULL\t$2.00",
            "2\t1\tCake\tNULL\t$2.00",
        ]);
        assert_eq!(shop.malformed.len(), 1);
        assert_eq!(shop.malformed[0].line, 4);
        assert!(shop.malformed[0].why.contains("order 1 was closed"));
        assert_eq!(shop.figures(), Figures { menu: 2, orders: 2, lines: 3, cents: 400 });
    }

    #[test]
    fn a_bad_line_does_not_close_an_order() {
        let shop = shop(&["1\t1\tTea\tNULL\t$1.00", "2\t1\tTea", "1\t1\tTea\tNULL\t$1.00"]);
        assert_eq!(shop.figures().lines, 2);
        assert_eq!(shop.malformed.len(), 1);
    }

    #[test]
    fn line_ends_of_both_kinds_and_a_missing_last_one() {
        for file in [
            format!("{HEADER}\r\n1\t1\tTea\tNULL\t$1.00 \r\n2\t1\tTea\tNULL\t$1.00 \r\n"),
            format!("{HEADER}\n1\t1\tTea\tNULL\t$1.00 \n2\t1\tTea\tNULL\t$1.00"),
            format!("\u{feff}{HEADER}\n1\t1\tTea\tNULL\t$1.00 \r\n2\t1\tTea\tNULL\t$1.00 "),
        ] {
            let shop = read(file.as_bytes()).unwrap();
            assert_eq!(shop.malformed, []);
            assert_eq!(shop.figures().orders, 2);
        }
    }

    #[test]
    fn a_line_that_is_not_text_is_skipped() {
        let mut file = format!("{HEADER}\n").into_bytes();
        file.extend(b"1\t1\tT\xff\tNULL\t$1.00\n2\t1\tTea\tNULL\t$1.00\n");
        let shop = read(&file).unwrap();
        assert_eq!(shop.malformed, [Malformed { line: 2, why: "not UTF-8".to_owned() }]);
        assert_eq!(shop.figures().orders, 1);
    }

    #[test]
    fn without_the_header_nothing_is_read() {
        for file in ["", "\n", "1\t1\tTea\tNULL\t$1.00\n", "order_id\tquantity\n"] {
            assert!(read(file.as_bytes()).unwrap_err().to_string().contains("line 1"), "{file:?}");
        }
        let shop = read(HEADER.as_bytes()).unwrap();
        assert_eq!(shop.figures(), Figures { menu: 0, orders: 0, lines: 0, cents: 0 });
    }

    #[test]
    fn the_sample_is_whole() {
        let shop = read(&crate::shell::read(&root().join(super::super::SAMPLE)).unwrap()).unwrap();
        assert_eq!(shop.malformed, []);
        assert_eq!(shop.figures(), Figures { menu: 12, orders: 40, lines: 101, cents: 85_215 });
    }

    #[test]
    fn the_real_file_has_its_known_figures() {
        let file = root().join(super::super::REAL);
        let Ok(bytes) = std::fs::read(&file) else {
            println!("not run: {} is not here", file.display());
            return;
        };
        let shop = read(&bytes).unwrap();
        assert_eq!(shop.malformed, []);
        let known = Figures { menu: 50, orders: 1_834, lines: 4_622, cents: 3_450_016 };
        assert_eq!(shop.figures(), known);
    }
}

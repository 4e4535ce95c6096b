//! Records that a store begins with.

use super::book::{Book, Draft};
use super::shape::Entity;
use super::{Checks, Terms, Wire, arxos, auraconnect, auraconnect_mobile, trackvault};
use crate::document::Document;
use crate::object::Object;
use crate::store::{StorageError, Tx};
use crate::wire::Key;

/// A record to begin with.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// Its collection.
    pub collection: &'a str,
    /// The server's id of it.
    pub id: &'a str,
    /// The id that the device which made it gave it, where a wire has such ids.
    pub local_id: Option<&'a str>,
    /// Its version.
    pub version: u64,
    /// When it was stored last, ms since the epoch.
    pub stored_at: u64,
    /// Its document; `None` is a tombstone.
    pub document: Option<&'a str>,
}

/// Puts a record into a store, as it would be had a client of the wire made it.
///
/// # Errors
/// [`StorageError`], also for a document that is no JSON object.
pub fn give<T: Tx>(tx: &mut T, wire: Wire, given: &Given<'_>) -> Result<(), StorageError> {
    let terms = Terms { checks: Checks::Nothing, ..Terms::default() };
    let mut book = Book { tx, terms: &terms, now_ms: given.stored_at };
    let document = given.document.map(Document::parse).transpose().map_err(StorageError)?;
    let document = document.map(|document| identified(wire, document, given.id));
    let key = Key::new(given.collection, given.id);
    let part = match (wire, &document) {
        (Wire::ArxOs, Some(document)) => document.object().read("building_id").unwrap_or_default(),
        (
            Wire::AuraConnect
            | Wire::AuraConnectMobile
            | Wire::TrackVault
            | Wire::ArxOs
            | Wire::PayTrack,
            _,
        ) => String::new(),
    };
    if let Some(own) = given.local_id {
        book.keep_own_id(&key, own)?;
    }
    if let Some(entity) = entities(wire).iter().find(|entity| entity.name == given.collection) {
        book.hold(entity, given.id, None, document.as_ref())?;
    }
    let digits = given.id.rsplit('_').next().and_then(|digits| digits.parse().ok());
    if let Some(number) = digits {
        book.pass(given.collection, number)?;
    }
    let stamp = match wire {
        Wire::TrackVault => given.stored_at / 1_000 * 1_000,
        Wire::AuraConnect | Wire::AuraConnectMobile | Wire::ArxOs | Wire::PayTrack => {
            given.stored_at
        }
    };
    let op_id = format!("given|{}|{}|{}", given.collection, given.id, given.version);
    let meta = meta(wire, given.local_id, stamp);
    let version = given.version;
    book.put(Draft { key: &key, version, document, op_id: &op_id, stamp, part, meta })?;
    Ok(())
}

/// A document of ArxOS names its record; the others' do not.
fn identified(wire: Wire, document: Document, id: &str) -> Document {
    match wire {
        Wire::ArxOs if !document.object().has("id") => {
            Object::default().with("id", id).and(document.object()).into_document()
        }
        Wire::AuraConnect
        | Wire::AuraConnectMobile
        | Wire::TrackVault
        | Wire::ArxOs
        | Wire::PayTrack => document,
    }
}

fn meta(wire: Wire, local_id: Option<&str>, stamp: u64) -> Option<Document> {
    let object = Object::default();
    let object = match wire {
        Wire::AuraConnect => object.with("localId", &local_id),
        Wire::AuraConnectMobile => object.with("client_id", &local_id).with("source", "pos"),
        Wire::TrackVault => object
            .with("device", &None::<&str>)
            .with("local_id", &local_id)
            .with("created_at", &stamp),
        Wire::ArxOs => object.with("created_at", &stamp),
        Wire::PayTrack => return None,
    };
    Some(object.into_document())
}

fn entities(wire: Wire) -> &'static [Entity] {
    match wire {
        Wire::AuraConnect => auraconnect::ENTITIES,
        Wire::AuraConnectMobile => auraconnect_mobile::ENTITIES,
        Wire::TrackVault => trackvault::ENTITIES,
        // Nothing is unique there but the id.
        Wire::ArxOs | Wire::PayTrack => &[],
    }
}

impl Wire {
    /// Fills an empty store with a few records to try the wire with; leaves another as it is.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn seed<T: Tx>(self, tx: &mut T, now_ms: u64) -> Result<(), StorageError> {
        if tx.feed()?.last > 0 {
            return Ok(());
        }
        for (collection, id, document) in self.seeds() {
            let given = Given {
                collection,
                id,
                local_id: None,
                version: 1,
                stored_at: now_ms,
                document: Some(document),
            };
            give(tx, self, &given)?;
        }
        Ok(())
    }

    const fn seeds(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::AuraConnect => &[
                (
                    "customers",
                    "cus_1",
                    r#"{"name":"Grace","phone":"+15550101","preferences":{"spicy":false},"tags":["regular"]}"#,
                ),
                (
                    "staff",
                    "stf_1",
                    r#"{"name":"Linus","role":"cook","clockedIn":false,"shifts":[]}"#,
                ),
                (
                    "menuItems",
                    "itm_1",
                    r#"{"name":"Chicken Bowl","price":8.75,"available":true,"modifiers":[],"categories":["bowls"]}"#,
                ),
                (
                    "menuItems",
                    "itm_2",
                    r#"{"name":"Chips","price":2.39,"available":true,"modifiers":[],"categories":["sides"]}"#,
                ),
                (
                    "inventory",
                    "inv_1",
                    r#"{"sku":"RICE-5","name":"Rice","stockLevel":40,"unit":"kg"}"#,
                ),
                (
                    "orders",
                    "ord_1",
                    r#"{"orderNumber":"A-1","customerId":"cus_1","items":[{"menuItemId":"itm_1","name":"Chicken Bowl","quantity":1,"unitPrice":8.75}],"status":"completed","totalAmount":8.75,"tags":[],"createdAt":"2026-11-20T09:00:00.000Z","updatedAt":"2026-11-20T09:20:00.000Z"}"#,
                ),
            ],
            Self::AuraConnectMobile => &[
                (
                    "menu",
                    "1",
                    r#"{"name":"Chicken Bowl","price_cents":875,"available":true,"category":"bowls"}"#,
                ),
                (
                    "menu",
                    "2",
                    r#"{"name":"Chips","price_cents":239,"available":true,"category":"sides"}"#,
                ),
                (
                    "shifts",
                    "1",
                    r#"{"staff_id":4,"clock_in":"2026-11-20T08:00:00.000Z","break_minutes":0}"#,
                ),
                (
                    "orders",
                    "1",
                    r#"{"order_number":"T1-0001","table_no":1,"items":[{"menu_id":1,"qty":2,"unit_price_cents":875}],"status":"paid","total_cents":1750,"opened_at":"2026-11-20T08:30:00.000Z","shift_id":1}"#,
                ),
            ],
            Self::TrackVault => &[
                ("supplier", "1", r#"{"code":"SUP-1","name":"Old Mill","region":"West"}"#),
                ("product", "1", r#"{"supplier_id":1,"name":"Green tea","unit":"kg"}"#),
                (
                    "product_rate",
                    "1",
                    r#"{"product_id":1,"rate":"1.250","effective_from":"2026-11-01"}"#,
                ),
                (
                    "collection",
                    "1",
                    r#"{"supplier_id":1,"product_id":1,"quantity":"12.500","collected_at":"2026-11-20T09:00:00Z"}"#,
                ),
                (
                    "payment",
                    "1",
                    r#"{"supplier_id":1,"amount":"15.63","type":"advance","paid_at":"2026-11-20T10:00:00Z"}"#,
                ),
            ],
            Self::ArxOs => &[
                (
                    arxos::BUILDING,
                    "b-42",
                    r#"{"id":"b-42","name":"Harbour House","address":"1 Quay","status":"active"}"#,
                ),
                (
                    arxos::BUILDING,
                    "b-43",
                    r#"{"id":"b-43","name":"Mill House","address":"2 Quay","status":"active"}"#,
                ),
                (
                    "equipment",
                    "e-100",
                    r#"{"id":"e-100","building_id":"b-42","name":"AHU-3","type":"air_handler","status":"ok","location_x":12.5,"location_y":3,"location_z":8.25,"metadata":{}}"#,
                ),
                (
                    "equipment",
                    "e-101",
                    r#"{"id":"e-101","building_id":"b-42","name":"Pump 1","type":"pump","status":"ok","metadata":{}}"#,
                ),
                (
                    "equipment",
                    "e-200",
                    r#"{"id":"e-200","building_id":"b-43","name":"Boiler","type":"boiler","status":"ok","metadata":{}}"#,
                ),
                (
                    "anchor",
                    "a-9",
                    r#"{"id":"a-9","building_id":"b-42","equipment_id":"e-100","position_x":1,"position_y":2,"position_z":0.5,"confidence":0.9,"anchor_type":"wall"}"#,
                ),
            ],
            Self::PayTrack => &[
                (
                    "suppliers",
                    "0191a1a0-0000-7000-8000-000000000001",
                    r#"{"name":"Wanjiru","phone":"+254711111111","village":"Kiambu"}"#,
                ),
                (
                    "products",
                    "0191a1a0-0000-7000-8000-000000000002",
                    r#"{"name":"Milk","unit":"litre"}"#,
                ),
                (
                    "rates",
                    "0191a1a0-0000-7000-8000-000000000003",
                    r#"{"product_uuid":"0191a1a0-0000-7000-8000-000000000002","price_cents":4500,"valid_from":"2026-11-01"}"#,
                ),
                (
                    "collections",
                    "0191a1a0-0000-7000-8000-000000000004",
                    r#"{"supplier_uuid":"0191a1a0-0000-7000-8000-000000000001","product_uuid":"0191a1a0-0000-7000-8000-000000000002","quantity_milli":12500,"collected_at":"2026-11-20T06:00:00.000Z"}"#,
                ),
                (
                    "payments",
                    "0191a1a0-0000-7000-8000-000000000005",
                    r#"{"supplier_uuid":"0191a1a0-0000-7000-8000-000000000001","amount_cents":56250,"method":"mobile","paid_at":"2026-11-20T10:00:00.000Z"}"#,
                ),
            ],
        }
    }
}

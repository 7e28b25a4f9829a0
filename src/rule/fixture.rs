//! A small catalogue for the tests of this module; the real one is data that changes for other reasons.

use crate::event::FieldType::{Boolean, Decimal, Integer, String};
use crate::event::streams::{FieldDefinition, Retention, StreamDefinition, StreamRole};
use crate::event::{Catalogue, FieldType};

pub fn catalogue() -> Catalogue {
    let orders = [
        ("order_id", String, false),
        ("total", Decimal, false),
        ("item_count", Integer, false),
        ("coupon", String, false),
        ("store_id", String, false),
        ("gift", Boolean, false),
        ("products.category", String, true),
        ("products.price", Decimal, true),
    ];
    Catalogue {
        streams: vec![
            stream("orders", StreamRole::Orders, &orders),
            stream("refunds", StreamRole::Refunds, &[("order_id", String, false), ("total", Decimal, false)]),
            stream("product_adds", StreamRole::Plain, &[("sku", String, false)]),
            stream("sessions", StreamRole::Plain, &[("store_id", Integer, false)]),
            stream("identify", StreamRole::Traits, &[]),
        ],
    }
}

fn stream(name: &str, role: StreamRole, fields: &[(&str, FieldType, bool)]) -> StreamDefinition {
    let field = |(name, field_type, array): &(&str, FieldType, bool)| FieldDefinition {
        name: (*name).into(),
        field_type: *field_type,
        array: *array,
        paths: Vec::new(),
    };
    StreamDefinition {
        name: name.into(),
        role,
        events: Vec::new(),
        event_id: "/messageId".into(),
        fields: fields.iter().map(field).collect(),
        currency: None,
        currency_path: "/properties/currency".into(),
        retention: Retention::Default,
    }
}

//! The built-in catalogue: Twilio Segment's Spec ("Ecommerce Events" v2, "Identify", "Common fields") as data.
//!
//! | stream | from |
//! | --- | --- |
//! | `orders` | `Order Completed` |
//! | `coupons` | `Coupon Redeemed`, `Coupon Applied`, `Customer Redemption Succeeded`, `Voucher Redeemed` |
//! | `refunds`, `cancellations` | `Order Refunded`, `Order Cancelled` |
//! | `coupon_denials`, `coupon_removals`, `product_adds`, `product_views`, `sessions`, `campaign_sends` | one event each |
//! | `traits` | `identify` |
//! | `erasures` | `User Deleted`, and every record of type `delete` |
//! | `aliases` | `alias`: its customer is `previousId`, its only field the `userId` |
//!
//! **Invariant:** every stream that rules may name has `user_agent` and `ip` as its last two fields.

use super::streams::{Catalogue, FieldDefinition, FieldType, Retention, StreamDefinition, StreamRole};
use FieldType::{Decimal, Integer, String as Text};

/// Name, type, and the pointers after `/properties/`, the first preferred.
type Property = (&'static str, FieldType, &'static [&'static str]);

const ORDER: &[Property] = &[
    ("order_id", Text, &["order_id"]),
    ("total", Decimal, &["total", "revenue"]),
    ("revenue", Decimal, &["revenue"]),
    ("subtotal", Decimal, &["subtotal"]),
    ("shipping", Decimal, &["shipping"]),
    ("tax", Decimal, &["tax"]),
    ("discount", Decimal, &["discount"]),
    ("margin", Decimal, &["margin"]),
    ("coupon", Text, &["coupon"]),
    ("currency", Text, &["currency"]),
    ("store_id", Text, &["store_id"]),
    ("affiliation", Text, &["affiliation"]),
    ("item_count", Integer, &["item_count"]),
    ("products.product_id", Text, &["products/*/product_id"]),
    ("products.sku", Text, &["products/*/sku"]),
    ("products.category", Text, &["products/*/category"]),
    ("products.brand", Text, &["products/*/brand"]),
    ("products.price", Decimal, &["products/*/price"]),
    // A decimal: goods are sold by weight, too.
    ("products.quantity", Decimal, &["products/*/quantity"]),
];

const COUPON: &[Property] = &[
    ("coupon_id", Text, &["coupon_id"]),
    ("coupon_name", Text, &["coupon_name"]),
    ("campaign_id", Text, &["campaign_id"]),
    ("order_id", Text, &["order_id"]),
    ("currency", Text, &["currency"]),
    ("discount", Decimal, &["discount"]),
];

const ORDER_AMOUNT: &[Property] = &[("order_id", Text, &["order_id"]), ("total", Decimal, &["total"])];

const COUPON_DENIAL: &[Property] = &[
    ("order_id", Text, &["order_id"]),
    ("cart_id", Text, &["cart_id"]),
    ("coupon_id", Text, &["coupon_id"]),
    ("coupon_name", Text, &["coupon_name"]),
    ("reason", Text, &["reason"]),
];

const COUPON_REMOVAL: &[Property] = &[
    ("order_id", Text, &["order_id"]),
    ("cart_id", Text, &["cart_id"]),
    ("coupon_id", Text, &["coupon_id"]),
    ("coupon_name", Text, &["coupon_name"]),
    ("discount", Decimal, &["discount"]),
];

const PRODUCT: &[Property] = &[
    ("cart_id", Text, &["cart_id"]),
    ("product_id", Text, &["product_id"]),
    ("sku", Text, &["sku"]),
    ("category", Text, &["category"]),
    ("name", Text, &["name"]),
    ("brand", Text, &["brand"]),
    ("variant", Text, &["variant"]),
    ("price", Decimal, &["price"]),
    ("quantity", Decimal, &["quantity"]),
    ("coupon", Text, &["coupon"]),
    ("currency", Text, &["currency"]),
    ("position", Integer, &["position"]),
];

const SESSION: &[Property] = &[
    ("session_id", Text, &["session_id"]),
    ("platform", Text, &["platform"]),
    ("device", Text, &["device"]),
    ("channel", Text, &["channel"]),
    ("referrer", Text, &["referrer"]),
    ("landing_page", Text, &["landing_page"]),
];

const CAMPAIGN_SEND: &[Property] = &[
    ("campaign_id", Text, &["campaign_id"]),
    ("campaign_name", Text, &["campaign_name"]),
    ("campaign_type", Text, &["campaign_type"]),
    ("channel", Text, &["channel"]),
    ("template_id", Text, &["template_id"]),
    ("coupon_id", Text, &["coupon_id"]),
];

impl Catalogue {
    /// Every stream that is understood without configuration.
    pub fn segment_spec() -> Catalogue {
        let redeemed: &[&str] = &["Coupon Redeemed", "Coupon Applied", "Customer Redemption Succeeded", "Voucher Redeemed"];
        let mut orders = stream("orders", StreamRole::Orders, &["Order Completed"], ORDER);
        orders.event_id = "/properties/order_id".into();
        let streams = vec![
            orders,
            stream("coupons", StreamRole::Coupons, redeemed, COUPON),
            stream("refunds", StreamRole::Refunds, &["Order Refunded"], ORDER_AMOUNT),
            stream("cancellations", StreamRole::Cancellations, &["Order Cancelled"], ORDER_AMOUNT),
            stream("coupon_denials", StreamRole::Plain, &["Coupon Denied"], COUPON_DENIAL),
            stream("coupon_removals", StreamRole::Plain, &["Coupon Removed"], COUPON_REMOVAL),
            stream("product_adds", StreamRole::Plain, &["Product Added"], PRODUCT),
            stream("product_views", StreamRole::Plain, &["Product Viewed"], PRODUCT),
            stream("sessions", StreamRole::Plain, &["Session Started"], SESSION),
            stream("campaign_sends", StreamRole::Plain, &["Campaign Sent"], CAMPAIGN_SEND),
            StreamDefinition { fields: Vec::new(), ..stream("traits", StreamRole::Traits, &[], &[]) },
            StreamDefinition { fields: Vec::new(), ..stream("erasures", StreamRole::Erasures, &["User Deleted"], &[]) },
            StreamDefinition { fields: vec![into()], ..stream("aliases", StreamRole::Aliases, &[], &[]) },
        ];
        Catalogue { streams }
    }
}

fn stream(name: &str, role: StreamRole, events: &[&str], properties: &[Property]) -> StreamDefinition {
    let fields = properties.iter().map(property).chain(context_fields()).collect();
    StreamDefinition { events: events.iter().map(|event| (*event).into()).collect(), fields, ..StreamDefinition::empty(name, role) }
}

fn property((name, field_type, pointers): &Property) -> FieldDefinition {
    let paths = pointers.iter().map(|pointer| format!("/properties/{pointer}").into()).collect();
    FieldDefinition { name: (*name).into(), field_type: *field_type, array: pointers[0].contains('*'), paths }
}

/// Of an alias: who the customer is from now on.
fn into() -> FieldDefinition {
    FieldDefinition { name: "into".into(), field_type: Text, array: false, paths: vec!["/userId".into()] }
}

/// What the context of every call says.
pub(super) fn context_fields() -> [FieldDefinition; 2] {
    [("user_agent", "/context/userAgent"), ("ip", "/context/ip")].map(|(name, path)| FieldDefinition {
        name: name.into(),
        field_type: Text,
        array: false,
        paths: vec![path.into()],
    })
}

impl StreamDefinition {
    /// A stream without events and fields, its ids and currency where the Segment Spec has them.
    pub(super) fn empty(name: &str, role: StreamRole) -> StreamDefinition {
        StreamDefinition {
            name: name.into(),
            role,
            events: Vec::new(),
            event_id: "/messageId".into(),
            fields: Vec::new(),
            currency: None,
            currency_path: "/properties/currency".into(),
            retention: Retention::Default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_of_the_contract_is_there_with_its_events() {
        let catalogue = Catalogue::segment_spec();
        let names: Vec<&str> = catalogue.streams.iter().map(|s| s.name.as_str()).collect();
        let expected = "orders coupons refunds cancellations coupon_denials coupon_removals product_adds product_views sessions campaign_sends traits erasures aliases";
        assert_eq!(names.join(" "), expected);
        for stream in &catalogue.streams {
            assert_eq!(stream.events.is_empty(), matches!(stream.role, StreamRole::Traits | StreamRole::Aliases), "{}", stream.name);
            let has_context = stream.field("user_agent").is_some() && stream.field("ip").is_some();
            assert_eq!(has_context, stream.role.is_named(), "{}", stream.name);
        }
    }

    #[test]
    fn only_orders_are_identified_by_their_order_id() {
        for stream in Catalogue::segment_spec().streams {
            let expected = if stream.name == "orders" { "/properties/order_id" } else { "/messageId" };
            assert_eq!(stream.event_id, expected, "{}", stream.name);
        }
    }

    #[test]
    fn a_field_of_products_is_an_array_of_elements() {
        let catalogue = Catalogue::segment_spec();
        let orders = &catalogue.streams[0];
        let price = &orders.fields[usize::from(orders.field("products.price").expect("declared").0)];
        assert!(price.array);
        assert_eq!(price.paths, ["/properties/products/*/price"]);
        let total = &orders.fields[usize::from(orders.field("total").expect("declared").0)];
        assert_eq!(total.paths, ["/properties/total", "/properties/revenue"]);
    }
}

//! What machines cost: on demand by the price list, spot as it is now.

use std::collections::BTreeMap;

use aws_sdk_pricing::types::{Filter, FilterType};
use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Account;
use crate::error::{AwsError, Kind, failed};

/// Millionths of a US dollar for an hour.
pub type Micros = u64;

/// Linux, as the history of spot prices calls it (Amazon EC2 API reference, DescribeSpotPriceHistory).
const LINUX: &str = "Linux/UNIX";

/// What the types of a run cost in its region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    on_demand: BTreeMap<String, Micros>,
    /// By type, then by zone.
    spot: BTreeMap<String, BTreeMap<String, Micros>>,
}

impl Prices {
    /// What an hour of such a machine costs; `None` where AWS names no price.
    #[must_use]
    pub fn of(&self, kind: &str, zone: &str, spot: bool) -> Option<Micros> {
        if !spot {
            return self.on_demand.get(kind).copied();
        }
        self.spot.get(kind)?.get(zone).copied()
    }

    /// The most that an hour of one of these types may cost: what spot costs never exceeds the price on demand.
    #[must_use]
    pub fn most(&self, kinds: &[String]) -> Option<Micros> {
        let all: Option<Vec<Micros>> = kinds
            .iter()
            .map(|kind| self.on_demand.get(kind).copied())
            .collect();
        all?.into_iter().max()
    }
}

/// Asks what these types cost; what spot costs only where it is wanted.
///
/// # Errors
/// AWS refuses or does not answer, or names no price of a type.
pub async fn prices(account: &Account, kinds: &[String], spot: bool) -> Result<Prices, AwsError> {
    let mut prices = Prices::default();
    for kind in kinds {
        let price = on_demand(account, kind).await?;
        prices.on_demand.insert(kind.clone(), price);
    }
    if spot {
        prices.spot = spot_prices(account, kinds).await?;
    }
    Ok(prices)
}

fn term(field: &str, value: &str) -> Result<Filter, AwsError> {
    let filter = Filter::builder()
        .r#type(FilterType::TermMatch)
        .field(field)
        .value(value)
        .build();
    filter.map_err(|error| AwsError::new(Kind::Invalid, "ask for a price", error.to_string()))
}

async fn on_demand(account: &Account, kind: &str) -> Result<Micros, AwsError> {
    let doing = || format!("ask what {kind} costs in {}", account.region());
    let mut asked = account.pricing.get_products().service_code("AmazonEC2");
    for (field, value) in [
        ("instanceType", kind),
        ("regionCode", account.region()),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
    ] {
        asked = asked.filters(term(field, value)?);
    }
    let answer = asked.send().await.map_err(|error| failed(doing(), error))?;
    let found = answer
        .price_list
        .unwrap_or_default()
        .iter()
        .find_map(|text| price(text));
    found.ok_or_else(|| AwsError::new(Kind::NotFound, doing(), "the price list names no price"))
}

/// The hourly price in a product of the price list.
fn price(text: &str) -> Option<Micros> {
    let product: Value = serde_json::from_str(text).ok()?;
    let terms = product.pointer("/terms/OnDemand")?.as_object()?;
    let dimensions = terms
        .values()
        .filter_map(|term| term.get("priceDimensions")?.as_object());
    let mut prices = dimensions
        .flat_map(|dimensions| dimensions.values())
        .filter_map(|dimension| {
            let hourly = dimension.get("unit").and_then(Value::as_str) == Some("Hrs");
            let price = dimension.pointer("/pricePerUnit/USD")?.as_str()?;
            hourly.then(|| micros(price)).flatten()
        });
    prices.find(|&price| price > 0)
}

/// Dollars as AWS writes them, such as `0.0816000000`.
fn micros(text: &str) -> Option<Micros> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)
}

async fn spot_prices(
    account: &Account,
    kinds: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, Micros>>, AwsError> {
    let now = DateTime::from_secs(jiff::Timestamp::now().as_second());
    let mut pages = account
        .ec2
        .describe_spot_price_history()
        .set_instance_types(Some(kinds.iter().map(|kind| kind.as_str().into()).collect()))
        .product_descriptions(LINUX)
        // The prices in force at a moment are those of a history that begins and ends there.
        .start_time(now)
        .end_time(now)
        .into_paginator()
        .send();
    let mut found: BTreeMap<String, BTreeMap<String, Micros>> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("ask what spot capacity costs", error))?;
        for one in page.spot_price_history.unwrap_or_default() {
            let kind = one.instance_type.as_ref().map(|kind| kind.as_str().to_owned());
            let price = one.spot_price.as_deref().and_then(micros);
            if let (Some(kind), Some(zone), Some(price)) = (kind, one.availability_zone, price) {
                found.entry(kind).or_default().entry(zone).or_insert(price);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_to_the_millionth() {
        assert_eq!(micros("0.0816000000"), Some(81_600));
        assert_eq!(micros("32.7726"), Some(32_772_600));
        assert_eq!(micros("1"), Some(1_000_000));
        assert_eq!(micros("0.00000049"), Some(0));
        for bad in ["", "x", "-1", "1.x", "99999999999999999999"] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_hourly_price_is_found_and_what_costs_nothing_is_passed_over() {
        let product = |unit: &str, usd: &str| {
            format!(
                r#"{{"terms":{{"OnDemand":{{"a":{{"priceDimensions":{{"b":{{"unit":"{unit}","pricePerUnit":{{"USD":"{usd}"}}}}}}}}}}}}}}"#
            )
        };
        assert_eq!(price(&product("Hrs", "0.0816000000")), Some(81_600));
        assert_eq!(price(&product("Hrs", "0.0000000000")), None);
        assert_eq!(price(&product("Quantity", "1.0")), None);
        assert_eq!(price("{}"), None);
        assert_eq!(price("x"), None);
    }
}

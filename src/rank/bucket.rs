//! A bucket: all values that agree in their first three significant decimal digits.
//!
//! ```text
//!     … [99.8, 99.9) [99.9, 100) [100, 101) [101, 102) … [999, 1000) [1000, 1010) …
//! ```
//!
//! Source: the idea of HdrHistogram, a constant number of significant digits, with decimal digits instead of binary ones:
//! a bucket is at most a hundredth of its low end wide, whole numbers below 1,000 have buckets of their own, and no
//! floating point decides where a value belongs.
//!
//! **Invariant:** buckets are ordered as their values are; neighbours differ by 1. A value is never below the low end of
//! its bucket.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};
use serde::{Deserialize, Serialize};

use crate::money::Number;

/// Which bucket: that of zero is 0, those of positive values are positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(i32);

/// Sizes are counted in units of 10⁻¹¹, so that the least size that is told from zero, 10⁻⁹, has three digits.
const UNITS: u64 = 100_000_000_000;
/// 10²⁰ in units: larger sizes are not told apart.
const LARGEST: u128 = 10_u128.pow(31);
/// Buckets between a power of ten and the next: those that begin with 100 to 999.
const STEPS: u32 = 900;

impl Bucket {
    /// No value is in it.
    pub const ABOVE_ALL: Bucket = Bucket(i32::MAX);

    pub fn of(value: &Number) -> Bucket {
        let (negative, size, rest) = in_units(value);
        // The low end of a negative bucket is its larger size.
        Bucket(if negative { -place_above(size, rest) } else { place(size) })
    }

    /// The least value that belongs to it.
    pub fn low(self) -> Number {
        let low = Number::from_parts(size(self.0.unsigned_abs()).into(), UNITS.into()).unwrap_or(Number::ZERO);
        if self.0 < 0 { low.negated() } else { low }
    }

    /// It is the same, or no other bucket lies between the two.
    pub fn is_next_to(self, other: Bucket) -> bool {
        self.0.abs_diff(other.0) <= 1
    }

    /// Its place among all buckets, which neighbours differ in by 1.
    pub fn index(self) -> i32 {
        self.0
    }

    /// The inverse of [`Bucket::index`].
    pub fn at(index: i32) -> Bucket {
        Bucket(index)
    }
}

/// Whether a value is negative, its size in whole units, and whether that leaves a rest.
fn in_units(value: &Number) -> (bool, u128, bool) {
    if let Some((numerator, over)) = value.small() {
        let (units, over) = (u128::from(numerator.unsigned_abs()) * u128::from(UNITS), u128::from(over.unsigned_abs()));
        return (numerator < 0, units / over, units % over != 0);
    }
    let (numerator, over) = value.to_parts();
    let (units, rest) = (numerator.abs() * BigInt::from(UNITS)).div_rem(&over);
    (numerator.is_negative(), units.to_u128().unwrap_or(LARGEST).min(LARGEST), !rest.is_zero())
}

/// The bucket that begins at this size or below it.
fn place(size: u128) -> i32 {
    if size < 100 {
        return 0;
    }
    let power = size.ilog10() - 2;
    let first = (size / 10_u128.pow(power)) as u32;
    (power * STEPS + first - 99) as i32
}

/// The bucket that begins at this size, or just above it.
fn place_above(units: u128, rest: bool) -> i32 {
    let below = place(units);
    if size(below.unsigned_abs()) == units && !rest { below } else { below + 1 }
}

/// Where a bucket begins, in units.
fn size(place: u32) -> u128 {
    match place.checked_sub(1) {
        None => 0,
        Some(above) => u128::from(above % STEPS + 100) * 10_u128.pow(above / STEPS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn number(text: &str) -> Number {
        Number::from(&text.parse::<Decimal>().unwrap())
    }

    #[test]
    fn values_share_a_bucket_that_agree_in_three_digits() {
        let low = |text: &str| Bucket::of(&number(text)).low().to_string();
        let lows = ["0", "1234.56", "999", "100.5", "0.0012345", "-3", "-1234.5", "-999.5", "0.0000000001", "-0.0000000001"].map(low);
        assert_eq!(lows, ["0", "1230", "999", "100", "0.00123", "-3", "-1240", "-1000", "0", "-0.000000001"]);
    }

    #[test]
    fn neighbours_differ_by_one_across_powers_of_ten_and_zero() {
        let next = |a: &str, b: &str| Bucket::of(&number(a)).is_next_to(Bucket::of(&number(b)));
        assert!(next("999", "1000") && next("99.9", "100") && next("-1000", "-999") && next("0", "-0.000000001") && next("5", "5.004"));
        assert!(!next("998", "1000") && !next("3", "4"));
    }

    #[test]
    fn what_is_too_large_to_be_told_apart_is_still_in_order() {
        let huge = |text: &str| Bucket::of(&number(text).times(&number("10000000000")));
        assert!(huge("1") < huge("1000000000") && huge("10000000000") == huge("99999999999") && huge("-10000000000") < huge("-1"));
    }

    proptest! {
        #[test]
        fn a_value_lies_less_than_a_hundredth_above_the_low_end_of_its_bucket(units in any::<i64>(), over in 1..1_000_000_i64) {
            let value = Number::ratio(units, over);
            let low = Bucket::of(&value).low();
            prop_assert!(low <= value);
            let above = value.minus(&low).times(&Number::integer(100));
            let size = if units < 0 { value.negated() } else { low };
            prop_assert!(above < size.plus(&Number::ratio(1, 1_000_000)), "{value} in the bucket from {}", Bucket::of(&value).low());
        }

        #[test]
        fn buckets_are_ordered_as_their_values(a in any::<i64>(), b in any::<i64>(), over in 1..1000_i64) {
            let (a, b) = (Number::ratio(a, over), Number::ratio(b, 10));
            prop_assert!(Bucket::of(&a).cmp(&Bucket::of(&b)) == a.cmp(&b) || Bucket::of(&a) == Bucket::of(&b));
        }

        #[test]
        fn the_low_end_of_a_bucket_belongs_to_it(units in any::<i64>(), over in 1..1_000_000_i64) {
            let bucket = Bucket::of(&Number::ratio(units, over));
            prop_assert_eq!(Bucket::of(&bucket.low()), bucket);
        }
    }
}

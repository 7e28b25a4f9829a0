//! A number as text: in evidence, in explanations, in diagnostics, and where it is stored.
//!
//! **Invariant:** exact where the decimal expansion ends within [`DISPLAY_PLACES`] places, without zeros at its end; else cut
//! off there with `…`. [`Number::parse`] reads what is exact.

use std::fmt;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

use super::{Number, POWERS_OF_TEN};

/// As many places as a `Decimal` has, so that every field shows exactly.
const DISPLAY_PLACES: usize = 28;

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((units, places)) = self.units_and_places() {
            return write_decimal(f, units, places);
        }
        if let Some(decimal) = self.to_decimal() {
            return decimal.normalize().fmt(f);
        }
        write_rational(f, self)
    }
}

impl Number {
    /// How many units of a power of ten's reciprocal it is: what every count, sum and field is, and most are shown.
    fn units_and_places(&self) -> Option<(i64, usize)> {
        let (units, over) = self.small()?;
        Some((units, POWERS_OF_TEN.iter().position(|power| *power == over)?))
    }
}

/// Written from its end. The 19 digits of 64 bits, a point, a zero before it and a sign find room.
fn write_decimal(f: &mut fmt::Formatter<'_>, units: i64, mut places: usize) -> fmt::Result {
    let mut rest = units.unsigned_abs();
    while places > 0 && rest.is_multiple_of(10) {
        (rest, places) = (rest / 10, places - 1);
    }
    let (mut text, mut at) = ([0; 24], 24);
    let mut put = |byte: u8| {
        at -= 1;
        text[at] = byte;
    };
    for digit in 0.. {
        if digit == places && places > 0 {
            put(b'.');
        }
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 && digit >= places {
            break;
        }
    }
    if units < 0 {
        put(b'-');
    }
    f.write_str(std::str::from_utf8(&text[at..]).unwrap_or_default())
}

fn write_rational(f: &mut fmt::Formatter<'_>, number: &Number) -> fmt::Result {
    let (units, over) = number.to_parts();
    let sign = if units.is_negative() { "-" } else { "" };
    let (whole, mut rest) = units.abs().div_rem(&over);
    let mut places = String::new();
    while !rest.is_zero() && places.len() < DISPLAY_PLACES {
        let (digit, left) = (rest * BigInt::from(10)).div_rem(&over);
        places.push_str(&digit.to_string());
        rest = left;
    }
    let point = if places.is_empty() { "" } else { "." };
    let cut = if rest.is_zero() { "" } else { "…" };
    write!(f, "{sign}{whole}{point}{places}{cut}")
}

#[cfg(test)]
mod tests {
    use num_traits::One;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_shown_exactly_or_cut_off() {
        let finest = 1_000_000_000_000_000_000;
        let cases = [
            (0, 1, "0"),
            (0, 100, "0"),
            (150, 100, "1.5"),
            (-5, 100, "-0.05"),
            (1200, 1, "1200"),
            (i64::MIN, 1, "-9223372036854775808"),
            (i64::MIN + 1, finest, "-9.223372036854775807"),
            (1, finest, "0.000000000000000001"),
            (1, 8, "0.125"),
            (-1, 3, "-0.3333333333333333333333333333…"),
        ];
        for (units, over, text) in cases {
            assert_eq!(Number::ratio(units, over).to_string(), text, "{units} / {over}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_of_units_is_what_a_decimal_shows(units: i64, places in 0usize..19) {
            let number = Number::ratio(units, POWERS_OF_TEN[places]);
            let decimal = rust_decimal::Decimal::from_i128_with_scale(units.into(), places as u32).normalize();
            prop_assert_eq!(number.to_string(), decimal.to_string());
            prop_assert_eq!(Number::parse(&number.to_string()), Some(number));
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_shown_too() {
        let big = Number::from_parts(BigInt::from(10).pow(30) + BigInt::one(), BigInt::from(10)).expect("a number");
        assert_eq!(big.to_string(), "100000000000000000000000000000.1");
    }
}

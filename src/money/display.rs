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
        match (self.written(), self.small()) {
            (Some(written), _) => f.write_str(written.as_str()),
            (None, Some((units, over))) => write_quotient(f, units, over),
            (None, None) => write_rational(f, self),
        }
    }
}

impl Number {
    /// As [`Number::to_string`] has it, but past the formatter, which makes room for the text only as it comes.
    pub fn to_text(&self) -> String {
        self.written().map_or_else(|| self.to_string(), |written| written.as_str().to_owned())
    }

    /// Where it is a number of units of a power of ten's reciprocal: what every count, sum and field is, and most are shown.
    fn written(&self) -> Option<Written> {
        let (units, over) = self.small()?;
        Some(Written::new(units, POWERS_OF_TEN.iter().position(|power| *power == over)?))
    }
}

/// A decimal as ASCII text, from `at` on. The 19 digits of 64 bits, a point, a zero before it and a sign find room.
struct Written {
    text: [u8; 24],
    at: usize,
}

impl Written {
    /// Written from its end.
    fn new(units: i64, mut places: usize) -> Written {
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
        Written { text, at }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.at..]).unwrap_or_default()
    }
}

/// An average, mostly: divided digit by digit, as on paper.
fn write_quotient(f: &mut fmt::Formatter<'_>, units: i64, over: i64) -> fmt::Result {
    // A tenfold rest may need more than 64 bits.
    let (size, over) = (u128::from(units.unsigned_abs()), u128::from(over.unsigned_abs()));
    let (whole, mut rest) = (size / over, size % over);
    let (mut places, mut count) = ([0; DISPLAY_PLACES], 0);
    while rest > 0 && count < DISPLAY_PLACES {
        places[count] = b'0' + (rest * 10 / over) as u8;
        rest = rest * 10 % over;
        count += 1;
    }
    let places = std::str::from_utf8(&places[..count]).unwrap_or_default();
    write_parts(f, units < 0, &whole, places, rest > 0)
}

fn write_rational(f: &mut fmt::Formatter<'_>, number: &Number) -> fmt::Result {
    let (units, over) = number.to_parts();
    let (whole, mut rest) = units.abs().div_rem(&over);
    let mut places = String::new();
    while !rest.is_zero() && places.len() < DISPLAY_PLACES {
        let (digit, left) = (rest * BigInt::from(10)).div_rem(&over);
        places.push_str(&digit.to_string());
        rest = left;
    }
    write_parts(f, units.is_negative(), &whole, &places, !rest.is_zero())
}

fn write_parts(f: &mut fmt::Formatter<'_>, negative: bool, whole: &impl fmt::Display, places: &str, cut_off: bool) -> fmt::Result {
    let sign = if negative { "-" } else { "" };
    let point = if places.is_empty() { "" } else { "." };
    let cut = if cut_off { "…" } else { "" };
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
            prop_assert_eq!(number.to_text(), decimal.to_string());
            prop_assert_eq!(Number::parse(&number.to_string()), Some(number));
        }
    }

    proptest! {
        #[test]
        fn a_quotient_is_shown_as_big_integers_show_it(units: i64, over in 1i64..) {
            struct Slowly(Number);
            impl fmt::Display for Slowly {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write_rational(f, &self.0)
                }
            }
            for over in [over, over % 1_000 + 1, over % 1_000_000 + 1] {
                let number = Number::ratio(units, over);
                prop_assert_eq!(number.to_string(), Slowly(number).to_string());
            }
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_shown_too() {
        let big = Number::from_parts(BigInt::from(10).pow(30) + BigInt::one(), BigInt::from(10)).expect("a number");
        assert_eq!(big.to_string(), "100000000000000000000000000000.1");
    }
}

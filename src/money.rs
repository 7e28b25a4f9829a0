//! Exact numbers: what a field holds ([`rust_decimal::Decimal`]) and what arithmetic over fields gives ([`Number`]).
//!
//! **Invariant:** nothing here rounds or overflows. A [`Number`] is a rational; it is held in 64-bit integers as long
//! as it fits (92 quadrillion in cents), and in big integers from there on, so that no sum, product or quotient is ever
//! wrong, only slower.

pub mod decimal;
mod display;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use rust_decimal::Decimal;

/// A rational number. Equal by value: 10 and 10.00 are one.
#[derive(Clone, Debug)]
pub struct Number(Form);

#[derive(Clone, Debug)]
enum Form {
    /// `over` is positive, and for sums of decimals a power of ten. Not reduced: reducing costs more than it saves.
    Small { units: i64, over: i64 },
    /// Reduced, and too large for the other form.
    Big(Box<BigRational>),
}

/// `10^n` for every scale of which a 64-bit integer has room.
const POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < 19 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

impl Number {
    pub const ZERO: Number = Number::integer(0);
    /// How many millionths make one.
    pub const MILLION: i64 = 1_000_000;

    pub const fn integer(units: i64) -> Number {
        Number(Form::Small { units, over: 1 })
    }

    /// The number `units / over`; `over` is not zero.
    pub fn ratio(units: i64, over: i64) -> Number {
        if over > 0 {
            return Number(Form::Small { units, over });
        }
        Number::shrink(BigRational::new(units.into(), over.into()))
    }

    pub fn plus(&self, other: &Number) -> Number {
        self.small_sum(other, i64::checked_add).unwrap_or_else(|| Number::shrink(self.big() + other.big()))
    }

    pub fn minus(&self, other: &Number) -> Number {
        self.small_sum(other, i64::checked_sub).unwrap_or_else(|| Number::shrink(self.big() - other.big()))
    }

    /// Adds a field's value in place, as a running total does with every row.
    #[inline]
    pub fn add(&mut self, decimal: &Decimal) {
        if !self.shift(decimal, i64::checked_add) {
            *self = self.plus(&Number::from(decimal));
        }
    }

    #[inline]
    pub fn subtract(&mut self, decimal: &Decimal) {
        if !self.shift(decimal, i64::checked_sub) {
            *self = self.minus(&Number::from(decimal));
        }
    }

    pub fn times(&self, other: &Number) -> Number {
        let small = || {
            let ((a, b), (c, d)) = (self.small()?, other.small()?);
            Some(Number(Form::Small { units: a.checked_mul(c)?, over: b.checked_mul(d)? }))
        };
        small().unwrap_or_else(|| Number::shrink(self.big() * other.big()))
    }

    /// `None`: division by zero, which is null.
    pub fn divided_by(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let small = || {
            let ((a, b), (c, d)) = (self.small()?, other.small()?);
            let (units, over) = (a.checked_mul(d)?, b.checked_mul(c)?);
            Some(Number(if over > 0 {
                Form::Small { units, over }
            } else {
                Form::Small { units: units.checked_neg()?, over: over.checked_neg()? }
            }))
        };
        Some(small().unwrap_or_else(|| Number::shrink(self.big() / other.big())))
    }

    pub fn negated(&self) -> Number {
        Number::ZERO.minus(self)
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.0, Form::Small { units: 0, .. })
    }

    /// A decimal of any length, as [`Number::to_string`] shows it; `None`: no decimal, one that was cut off, or one that is too
    /// long for any sum of ours.
    pub fn parse(text: &str) -> Option<Number> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = whole.strip_prefix('-').unwrap_or(whole);
        if text.len() > LONGEST_TEXT || unsigned.is_empty() || !digits(unsigned) || !digits(fraction) {
            return None;
        }
        let units: BigInt = format!("{whole}{fraction}").parse().ok()?;
        Number::from_parts(units, BigInt::from(10).pow(fraction.len() as u32))
    }

    /// Numerator and denominator in decimal digits, for storage; not reduced.
    pub fn to_parts(&self) -> (BigInt, BigInt) {
        match &self.0 {
            Form::Small { units, over } => ((*units).into(), (*over).into()),
            Form::Big(big) => (big.numer().clone(), big.denom().clone()),
        }
    }

    /// The inverse of [`Number::to_parts`]; `None` unless the denominator is positive.
    pub fn from_parts(numerator: BigInt, denominator: BigInt) -> Option<Number> {
        if !denominator.is_positive() {
            return None;
        }
        if let (Some(units), Some(over)) = (numerator.to_i64(), denominator.to_i64()) {
            return Some(Number(Form::Small { units, over }));
        }
        Some(Number::shrink(BigRational::new(numerator, denominator)))
    }

    /// As a field's value, if one can hold it exactly.
    pub fn to_decimal(&self) -> Option<Decimal> {
        let (units, over) = match &self.0 {
            Form::Small { units, over } => reduced(*units, *over),
            Form::Big(big) => return decimal_of(big),
        };
        let scale = POWERS_OF_TEN.iter().position(|power| power % over == 0)?;
        Decimal::try_from_i128_with_scale(i128::from(units) * i128::from(POWERS_OF_TEN[scale] / over), scale as u32).ok()
    }

    /// The nearest float, for what is an estimate anyway (the statistics of an experiment), never for a decision or an amount.
    pub fn approximate(&self) -> f64 {
        match self.small() {
            Some((units, over)) => units as f64 / over as f64,
            None => self.big().to_f64().unwrap_or(f64::NAN),
        }
    }

    /// Numerator and denominator where they fit 64 bits.
    pub fn small(&self) -> Option<(i64, i64)> {
        match &self.0 {
            Form::Small { units, over } => Some((*units, *over)),
            Form::Big(_) => None,
        }
    }

    /// How many millionths it is, if that is a whole number of 64 bits.
    #[inline]
    pub fn millionths(&self) -> Option<i64> {
        match &self.0 {
            Form::Small { units, over: 100 } => units.checked_mul(Number::MILLION / 100),
            Form::Small { units, over } => (Number::MILLION % over == 0).then(|| units.checked_mul(Number::MILLION / over)).flatten(),
            Form::Big(_) => None,
        }
    }

    /// The sum or difference in 64 bits, if it fits. Scales differ by powers of ten, so the coarser is a divisor of the finer.
    #[inline]
    fn small_sum(&self, other: &Number, op: fn(i64, i64) -> Option<i64>) -> Option<Number> {
        let ((a, b), (c, d)) = (self.small()?, other.small()?);
        let (units, over) = if b == d {
            (op(a, c)?, b)
        } else if b > d && b % d == 0 {
            (op(a, c.checked_mul(b / d)?)?, b)
        } else if d % b == 0 {
            (op(a.checked_mul(d / b)?, c)?, d)
        } else {
            (op(a.checked_mul(d)?, c.checked_mul(b)?)?, b.checked_mul(d)?)
        };
        Some(Number(Form::Small { units, over }))
    }

    /// By a decimal of the same scale; `false`: it is of another one, or the result does not fit.
    #[inline]
    fn shift(&mut self, decimal: &Decimal, op: fn(i64, i64) -> Option<i64>) -> bool {
        let Form::Small { units, over } = &mut self.0 else { return false };
        let mantissa = i64::try_from(decimal.mantissa()).ok().filter(|_| POWERS_OF_TEN.get(decimal.scale() as usize) == Some(over));
        let shifted = mantissa.and_then(|mantissa| op(*units, mantissa));
        *units = shifted.unwrap_or(*units);
        shifted.is_some()
    }

    fn big(&self) -> BigRational {
        match &self.0 {
            Form::Small { units, over } => BigRational::new((*units).into(), (*over).into()),
            Form::Big(big) => (**big).clone(),
        }
    }

    fn shrink(big: BigRational) -> Number {
        match (big.numer().to_i64(), big.denom().to_i64()) {
            (Some(units), Some(over)) => Number(Form::Small { units, over }),
            _ => Number(Form::Big(Box::new(big))),
        }
    }
}

/// The same as [`Number::millionths`].
#[inline]
pub fn millionths(decimal: &Decimal) -> Option<i64> {
    // Without a mantissa of 128 bits: amounts of money rarely need more than 63.
    let parts = decimal.unpack();
    let units = i64::try_from(u64::from(parts.mid) << 32 | u64::from(parts.lo)).ok().filter(|_| parts.hi == 0)?;
    let places = 6usize.checked_sub(parts.scale as usize)?;
    (if parts.negative { -units } else { units }).checked_mul(POWERS_OF_TEN[places])
}

fn reduced(units: i64, over: i64) -> (i64, i64) {
    let divisor = units.gcd(&over);
    (units / divisor, over / divisor)
}

/// A reduced rational whose denominator divides a power of ten that a `Decimal` can have.
fn decimal_of(big: &BigRational) -> Option<Decimal> {
    let scales = 0..=Decimal::MAX_SCALE;
    let (scale, power) = scales.map(|scale| (scale, BigInt::from(10).pow(scale))).find(|(_, power)| (power % big.denom()).is_zero())?;
    let units = (big.numer() * (power / big.denom())).to_i128()?;
    Decimal::try_from_i128_with_scale(units, scale).ok()
}

impl From<&Decimal> for Number {
    fn from(decimal: &Decimal) -> Number {
        let small = || {
            let units = i64::try_from(decimal.mantissa()).ok()?;
            Some(Number(Form::Small { units, over: *POWERS_OF_TEN.get(decimal.scale() as usize)? }))
        };
        small().unwrap_or_else(|| Number::shrink(BigRational::new(decimal.mantissa().into(), BigInt::from(10).pow(decimal.scale()))))
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Number {
        Number::integer(integer)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    /// Over the reduced form, so that equal numbers hash alike.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.small() {
            Some((units, over)) => reduced(units, over).hash(state),
            None => self.big().hash(state),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match (self.small(), other.small()) {
            (Some((a, b)), Some((c, d))) if b == d => a.cmp(&c),
            (Some((a, b)), Some((c, d))) => (i128::from(a) * i128::from(d)).cmp(&(i128::from(c) * i128::from(b))),
            _ => self.big().cmp(&other.big()),
        }
    }
}

/// Of a decimal that is read: the squares of a billion of the largest values have fewer digits.
const LONGEST_TEXT: usize = 120;

impl Default for Number {
    fn default() -> Number {
        Number::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::from(&text.parse::<Decimal>().unwrap())
    }

    #[test]
    fn numbers_are_equal_by_value_whatever_their_scale() {
        assert_eq!(number("10"), number("10.00"));
        assert!(number("9.99") < number("10.0"));
    }

    #[test]
    fn adding_never_rounds_or_overflows() {
        let (large, small) = (number("79228162514264337593543950335"), number("0.0000000000000000000000000001"));
        let mut sum = Number::ZERO;
        for _ in 0..10_000 {
            sum = sum.plus(&large).plus(&small);
        }
        for _ in 0..10_000 {
            sum = sum.minus(&large);
        }
        assert_eq!(sum, number("0.0000000000000000000000010000"));
    }

    proptest::proptest! {
        #[test]
        fn a_decimal_added_or_taken_away_in_place_is_the_sum_or_the_difference(
            numbers in proptest::collection::vec((proptest::num::i64::ANY, 0..4u32), 1..12)
        ) {
            let (mut sum, mut expected) = (Number::ZERO, Number::ZERO);
            for (at, (units, scale)) in numbers.iter().enumerate() {
                // Most are small, and of one scale.
                let decimal = Decimal::new(if at % 3 == 0 { *units } else { units % 1_000 }, scale.saturating_sub(1) * 2);
                if at % 2 == 0 {
                    sum.add(&decimal);
                    expected = expected.plus(&Number::from(&decimal));
                } else {
                    sum.subtract(&decimal);
                    expected = expected.minus(&Number::from(&decimal));
                }
                proptest::prop_assert_eq!(&sum, &expected);
            }
        }
    }

    #[test]
    fn division_is_exact_and_by_zero_is_null() {
        let third = number("1").divided_by(&number("3")).unwrap();
        assert_eq!(third.times(&number("3")), number("1"));
        assert_eq!(number("1").divided_by(&number("0.00")), None);
        assert_eq!(number("1").divided_by(&number("-4")).unwrap(), number("-0.25"));
    }

    #[test]
    fn a_number_shows_as_an_exact_decimal_or_says_that_it_goes_on() {
        assert_eq!(number("12.50").to_string(), "12.5");
        assert_eq!(number("-0.25").to_string(), "-0.25");
        assert_eq!(Number::ratio(10, 3).to_string(), "3.3333333333333333333333333333…");
    }

    #[test]
    fn a_decimal_is_read_as_it_is_shown_whatever_its_length() {
        let large = number("79228162514264337593543950335");
        for n in [number("0"), number("-0.25"), large.times(&large), large.times(&large).negated().plus(&number("0.01"))] {
            assert_eq!(Number::parse(&n.to_string()), Some(n));
        }
        for text in ["", "-", ".5", "1e3", "+1", " 1", "1.2.3", "--1", "3.33…", &"1".repeat(200)] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_give_the_number_back() {
        for n in [
            number("-12.34"),
            Number::ratio(10, 7),
            number("79228162514264337593543950335").times(&number("79228162514264337593543950335")),
        ] {
            let (numerator, denominator) = n.to_parts();
            assert_eq!(Number::from_parts(numerator, denominator), Some(n));
        }
    }
}

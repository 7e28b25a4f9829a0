//! Decimal text to an exact number, never through a float.
//!
//! The form is the contract's: `-?digits[.digits][e±digits]` (a JSON number is a special case of it).
//!
//! **Invariant:** what is returned equals the text exactly. A number that 96 bits and 28 decimal places cannot hold
//! is an overflow, never a rounding; zeros that do not change the value do not count (`1.10…0` is 1.1, `0e999` is 0).
//! Cost is linear in the text, whatever the exponent says.

use rust_decimal::Decimal;

/// Why a text is no number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `-?digits[.digits][e±digits]`.
    NotANumber,
    /// Well formed, but no [`Decimal`] equals it.
    Overflow,
}

/// The largest mantissa of a [`Decimal`]: 96 bits.
const LARGEST: u128 = (1 << 96) - 1;
/// Numbers of at most this many digits fit a `u64`.
const SHORT: usize = 19;

/// The number that a text stands for. The scale is kept as written where it fits (`1.50` prints as `1.50`).
pub fn parse_decimal(text: &[u8]) -> Result<Decimal, DecimalError> {
    let (negative, rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    match parse_short(rest) {
        Some((mantissa, scale)) => Ok(decimal(negative, u128::from(mantissa), scale)),
        None => parse_long(negative, rest),
    }
}

/// `digits[.digits]` of at most [`SHORT`] characters: nearly every amount there is.
fn parse_short(text: &[u8]) -> Option<(u64, u32)> {
    if text.len() > SHORT || !text.first()?.is_ascii_digit() || !text.last()?.is_ascii_digit() {
        return None;
    }
    let (mut mantissa, mut point) = (0u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    Some((mantissa, point.map_or(0, |at| text.len() - 1 - at) as u32))
}

fn parse_long(negative: bool, text: &[u8]) -> Result<Decimal, DecimalError> {
    let (whole, rest) = take_digits(text).ok_or(DecimalError::NotANumber)?;
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', after)) => take_digits(after).ok_or(DecimalError::NotANumber)?,
        _ => (&[][..], rest),
    };
    let exponent = exponent(rest).ok_or(DecimalError::NotANumber)?;
    let Some((mantissa, zeros)) = significant(whole.iter().chain(fraction)) else {
        return Err(DecimalError::Overflow);
    };
    if mantissa == 0 {
        return Ok(Decimal::ZERO);
    }
    let scale = (fraction.len() as i64 - zeros as i64).saturating_sub(exponent);
    let (mantissa, scale) = fit(mantissa, scale).ok_or(DecimalError::Overflow)?;
    Ok(decimal(negative, mantissa, scale))
}

/// One or more leading digits, and what follows them.
fn take_digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Nothing, or `e`, an optional sign and digits to the end. Saturates: far beyond what fits, all exponents are alike.
fn exponent(text: &[u8]) -> Option<i64> {
    let digits = match text {
        [] => return Some(0),
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => digits,
        _ => return None,
    };
    let (digits, rest) = take_digits(digits)?;
    let size = digits.iter().fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    rest.is_empty().then_some(if text[1] == b'-' { -size } else { size })
}

/// The digits without their trailing zeros as a number, and how many zeros were left out. `None`: too many digits.
fn significant<'a>(digits: impl Iterator<Item = &'a u8>) -> Option<(u128, usize)> {
    let (mut mantissa, mut zeros) = (0u128, 0usize);
    for byte in digits {
        if *byte == b'0' {
            zeros += 1;
            continue;
        }
        // A zero that a later digit follows is significant; leading zeros multiply nothing.
        for _ in 0..if mantissa == 0 { 0 } else { zeros } {
            mantissa = mantissa.checked_mul(10)?;
        }
        zeros = 0;
        mantissa = mantissa.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
    }
    Some((mantissa, zeros))
}

/// The mantissa and a scale of 0 to 28 of `mantissa × 10^-scale`; the mantissa has no trailing zero.
fn fit(mantissa: u128, scale: i64) -> Option<(u128, u32)> {
    if scale > i64::from(Decimal::MAX_SCALE) || scale < -i64::from(Decimal::MAX_SCALE) {
        return None;
    }
    let grown = if scale < 0 { mantissa.checked_mul(10u128.pow(scale.unsigned_abs() as u32))? } else { mantissa };
    (grown <= LARGEST).then_some((grown, scale.max(0) as u32))
}

fn decimal(negative: bool, mantissa: u128, scale: u32) -> Decimal {
    // A zero has no sign: -0 and 0 are one value and print alike.
    Decimal::from_parts(mantissa as u32, (mantissa >> 32) as u32, (mantissa >> 64) as u32, negative && mantissa != 0, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, DecimalError>) {
        assert_eq!(parse_decimal(text.as_bytes()).map(|d| d.to_string()), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn a_number_is_read_exactly_and_keeps_its_scale() {
        check("0", Ok("0"));
        check("-0", Ok("0"));
        check("0.50", Ok("0.50"));
        check("-12.345", Ok("-12.345"));
        check("007", Ok("7"));
        check("1e3", Ok("1000"));
        check("1.5E+2", Ok("150"));
        check("25e-1", Ok("2.5"));
        check("9999999999999999999", Ok("9999999999999999999"));
        check("0.1234567890123456789012345678", Ok("0.1234567890123456789012345678"));
    }

    #[test]
    fn zeros_that_change_nothing_do_not_count() {
        check(&format!("1.1{}", "0".repeat(500)), Ok("1.1"));
        check(&format!("{}7", "0".repeat(500)), Ok("7"));
        check("0e999", Ok("0"));
        check("0e-99999999999999999999999", Ok("0"));
        check("100000000000000000000000000000e-20", Ok("1000000000"));
    }

    #[test]
    fn the_largest_number_fits_and_the_next_does_not() {
        check("79228162514264337593543950335", Ok("79228162514264337593543950335"));
        check("79228162514264337593543950336", Err(DecimalError::Overflow));
        check("7.9228162514264337593543950335", Ok("7.9228162514264337593543950335"));
        check("7.9228162514264337593543950336", Err(DecimalError::Overflow));
        check("1e28", Ok("10000000000000000000000000000"));
        check("1e29", Err(DecimalError::Overflow));
        check("1e-28", Ok("0.0000000000000000000000000001"));
        check("1e-29", Err(DecimalError::Overflow));
        check("1e999999999999999999999999", Err(DecimalError::Overflow));
        check("1e-999999999999999999999999", Err(DecimalError::Overflow));
        check(&"9".repeat(10_000), Err(DecimalError::Overflow));
    }

    #[test]
    fn anything_else_is_no_number() {
        for text in [
            "", "-", "+1", ".5", "5.", "1e", "1e+", "1.e5", " 1", "1 ", "NaN", "Infinity", "0x10", "1_000", "1,5", "--1", "1.2.3", "e5",
            "1e5.5",
        ] {
            check(text, Err(DecimalError::NotANumber));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_decimal_prints_reads_back_equal(mantissa in 0u128..=LARGEST, scale in 0u32..=28, negative: bool) {
            let number = decimal(negative, mantissa, scale);
            proptest::prop_assert_eq!(parse_decimal(number.to_string().as_bytes()), Ok(number));
        }
    }
}

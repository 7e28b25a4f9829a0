//! Sizes (`512MiB`) and short durations (`100ms`) as configuration writes them.
//!
//! A size is binary only (`KiB`, `MiB`, `GiB`, or bytes as `B` or nothing): `MB` means two things to two people.
//!
//! **Invariant:** a number without a unit is never a duration, and nothing overflows silently.

use std::time::Duration;

/// `digits ("ms" | "s" | "m" | "h" | "d")`
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// `digits [ "B" | "KiB" | "MiB" | "GiB" ]`, in bytes.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        for wrong in ["100", "", "ms", "1.5s", "-1s", "1 year", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        assert_eq!(size("300"), Some(300));
        for wrong in ["512MB", "512M", "", "MiB", "18446744073709551615GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}

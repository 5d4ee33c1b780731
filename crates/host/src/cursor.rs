//! Where a list goes on: opaque texts that say after which row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::HostError;

/// A cursor behind these numbers.
pub(crate) fn write(kind: char, numbers: &[i64]) -> String {
    let text: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    URL_SAFE_NO_PAD.encode(format!("{kind}{}", text.join(".")))
}

/// The numbers of a cursor of this kind.
pub(crate) fn read<const N: usize>(kind: char, cursor: &str) -> Result<[i64; N], HostError> {
    let numbers = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            let numbers: Option<Vec<i64>> = text
                .strip_prefix(kind)?
                .split('.')
                .map(|number| number.parse().ok())
                .collect();
            numbers?.try_into().ok()
        });
    numbers.ok_or_else(|| {
        HostError::invalid("search.cursor", "the cursor is not one that this list gave")
            .hint("use `next` of the page before as it is, or leave it away to begin at the top")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_others_are_refused() {
        let cursor = write('e', &[12, -1]);
        assert_eq!(read::<2>('e', &cursor).unwrap(), [12, -1]);
        assert!(read::<1>('e', &cursor).is_err(), "another length");
        assert!(read::<2>('w', &cursor).is_err(), "another list");
        for wrong in ["", "!", "ZQ", "ZTEuMg=="] {
            assert_eq!(read::<2>('e', wrong).unwrap_err().code, "search.cursor", "{wrong}");
        }
    }
}

//! The walk over options of a kind, a length and data, as IPv4 and TCP have them (RFC 791 §3.1,
//! RFC 9293 §3.2).
//!
//! Invariant: every step consumes at least one octet; after an error or the end of the list
//! nothing more comes. Used by the iterators of both.

use super::WireError;

/// The end of the list, one octet.
pub const END: u8 = 0;
/// Padding, one octet.
pub const NOP: u8 = 1;

/// Cuts the next option off: its kind, and what follows the length octet; for [`NOP`] nothing.
pub fn step<'a>(rest: &mut &'a [u8]) -> Option<Result<(u8, &'a [u8]), WireError>> {
    let all = core::mem::take(rest);
    let (&kind, after) = all.split_first()?;
    match kind {
        END => return None,
        NOP => {
            *rest = after;
            return Some(Ok((NOP, &[])));
        }
        _ => {}
    }
    // The length counts kind and length octets as well.
    let len = after.first().map(|len| usize::from(*len));
    let body = len.filter(|len| *len >= 2).and_then(|len| {
        let (option, after) = all.split_at_checked(len)?;
        *rest = after;
        option.get(2..)
    });
    Some(body.map(|data| (kind, data)).ok_or(WireError::BadOption))
}

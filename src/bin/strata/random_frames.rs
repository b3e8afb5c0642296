//! Random frames whose first octets lead into the parsers; for tests.

use proptest::prelude::*;

/// Ethernet frames of every kind we know, mostly malformed.
pub fn frames() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0], [0, 40]]);
    let body = prop::collection::vec(any::<u8>(), 0..120);
    (kind, any::<u8>(), any::<u8>(), body).prop_map(|(kind, low, proto, mut body)| {
        let version = if kind == [8, 0] { 0x45 } else { 0x60 };
        let protocols = [1, 2, 6, 17, 58, 44, 0, 60, 43, 132, 253];
        let next = protocols[usize::from(proto) % protocols.len()];
        let set = [
            (0, version | low & 1),
            (2, 0),
            (3, low),
            (6, if version == 0x60 { next } else { low & 0x20 }),
            (7, 0),
            (9, next),
        ];
        for (at, octet) in set {
            if let Some(place) = body.get_mut(at) {
                *place = octet;
            }
        }
        [&[2; 12][..], &kind, &body].concat()
    })
}

//! The XDP program: which frames become ours. Instructions of the kernel's virtual machine
//! (RFC 9669), put together by hand, as nothing but a compiler would be gained by one.

/// An instruction (RFC 9669 §3): operation, registers, offset, immediate value.
const fn instruction(op: u8, dst: u8, src: u8, offset: i16, value: i32) -> u64 {
    let registers = if cfg!(target_endian = "little") {
        src << 4 | dst
    } else {
        dst << 4 | src
    };
    let [o0, o1] = offset.to_ne_bytes();
    let [v0, v1, v2, v3] = value.to_ne_bytes();
    u64::from_ne_bytes([op, registers, o0, o1, v0, v1, v2, v3])
}

/// Octets into `struct xdp_md` at which the number of the receive queue is.
const RX_QUEUE_INDEX: i16 = 16;

/// The helper `bpf_redirect_map`.
const REDIRECT_MAP: i32 = 51;

/// The verdict for queues without a socket: to the host, as ever.
const XDP_PASS: i32 = 2;

/// Gives every frame to the socket that `map` has for its queue.
pub(super) const fn redirect(map: i32) -> [u64; 6] {
    const LOAD_32: u8 = 0x61;
    const LOAD_IMMEDIATE_64: u8 = 0x18;
    const MOVE_32: u8 = 0xb4;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    /// The immediate value is the descriptor of a map (`BPF_PSEUDO_MAP_FD`).
    const MAP: u8 = 1;
    [
        // r2 = context->rx_queue_index
        instruction(LOAD_32, 2, 1, RX_QUEUE_INDEX, 0),
        // r1 = map, in two words
        instruction(LOAD_IMMEDIATE_64, 1, MAP, 0, map),
        instruction(0, 0, 0, 0, 0),
        // r3 = what to do where the map has nothing
        instruction(MOVE_32, 3, 0, 0, XDP_PASS),
        // r0 = redirect_map(r1, r2, r3); return r0
        instruction(CALL, 0, 0, 0, REDIRECT_MAP),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_what_a_compiler_makes_of_it() {
        let octets = redirect(7).map(u64::to_ne_bytes);
        let expected: [[u8; 8]; 6] = [
            [0x61, 0x12, 16, 0, 0, 0, 0, 0],
            [0x18, 0x11, 0, 0, 7, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0xb4, 0x03, 0, 0, 2, 0, 0, 0],
            [0x85, 0, 0, 0, 51, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(octets, expected);
    }
}

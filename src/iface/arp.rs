//! What an ARP message means to a host (RFC 826, RFC 5227).
//!
//! Invariant: pure judgement. A message that is judged [`Judgement::Told`] names a sender that
//! may exist: a unicast link address that is not ours, and an IP address that one host can have
//! and that is not ours. Called by [`Ethernet`](super::Ethernet) for every ARP frame.

use core::net::Ipv4Addr;

use super::cache::Word;
use crate::error::Drop;
use crate::wire::{Arp, Mac};

/// What to do about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing.
    Ignore(Drop),
    /// Answer it, but learn nothing: a probe has no sender address (RFC 5227 §2.1.1).
    Answer,
    /// Somebody else uses our address (RFC 5227 §2.4).
    Conflict,
    /// Learn the sender's mapping, as far as the neighbour cache wants it, and answer if it
    /// is a request for us.
    Told(Word),
}

/// Judges a message that came to us alone (`direct`) or to more stations. `us` is our link
/// address, `owns` knows our IP addresses.
pub(super) fn judge(
    arp: &Arp,
    us: Mac,
    direct: bool,
    owns: impl Fn(Ipv4Addr) -> bool,
) -> Judgement {
    let (mac, ip) = arp.sender;
    let request = match arp.op {
        Arp::REQUEST => true,
        Arp::REPLY => false,
        _ => return Judgement::Ignore(Drop::BadArp),
    };
    // Our own link address: an echo of what we sent, or an attempt to hide behind it.
    if !mac.is_unicast() || mac == us {
        return Judgement::Ignore(Drop::BadArp);
    }
    let ours = owns(arp.target.1);
    if arp.is_probe() {
        return if ours {
            Judgement::Answer
        } else {
            Judgement::Ignore(Drop::OtherHost)
        };
    }
    if !can_be_a_host(ip) {
        return Judgement::Ignore(Drop::BadArp);
    }
    if owns(ip) {
        return Judgement::Conflict;
    }
    Judgement::Told(match (request, ours) {
        (true, true) => Word::Request(arp.target.1),
        (false, true) if direct => Word::Reply,
        _ => Word::Overheard,
    })
}

/// Not "this network", loopback, a group or broadcast (RFC 1122 §3.2.1.3).
fn can_be_a_host(ip: Ipv4Addr) -> bool {
    let [first, ..] = ip.octets();
    first != 0 && !ip.is_loopback() && !ip.is_multicast() && !ip.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const OUR_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const PEER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn judged(arp: Arp, direct: bool) -> Judgement {
        judge(&arp, US, direct, |ip| ip == OUR_IP)
    }

    #[test]
    fn whom_a_message_is_for_decides_its_weight() {
        let ask = Arp::request((PEER, PEER_IP), OUR_IP);
        assert_eq!(judged(ask, false), Judgement::Told(Word::Request(OUR_IP)));
        let reply = Arp::request((US, OUR_IP), PEER_IP).reply(PEER);
        assert_eq!(judged(reply, true), Judgement::Told(Word::Reply));
        assert_eq!(judged(reply, false), Judgement::Told(Word::Overheard));
        let other = Arp::request((PEER, PEER_IP), [10, 0, 0, 3].into());
        assert_eq!(judged(other, false), Judgement::Told(Word::Overheard));
        let news = Arp::announcement(PEER, PEER_IP);
        assert_eq!(judged(news, false), Judgement::Told(Word::Overheard));
    }

    #[test]
    fn probes_are_answered_and_conflicts_noticed() {
        assert_eq!(judged(Arp::probe(PEER, OUR_IP), false), Judgement::Answer);
        let elsewhere = judged(Arp::probe(PEER, PEER_IP), false);
        assert_eq!(elsewhere, Judgement::Ignore(Drop::OtherHost));
        let claim = Arp::announcement(PEER, OUR_IP);
        assert_eq!(judged(claim, false), Judgement::Conflict);
    }

    #[test]
    fn senders_that_cannot_exist_are_ignored() {
        let bad = Judgement::Ignore(Drop::BadArp);
        for mac in [US, Mac::ZERO, Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1])] {
            assert_eq!(judged(Arp::request((mac, PEER_IP), OUR_IP), false), bad);
        }
        for ip in [[0, 0, 0, 7], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
            assert_eq!(judged(Arp::request((PEER, ip.into()), OUR_IP), false), bad);
        }
        let mut odd = Arp::request((PEER, PEER_IP), OUR_IP);
        odd.op = 3;
        assert_eq!(judged(odd, true), bad);
        // A reply from nobody.
        let mut reply = Arp::probe(PEER, OUR_IP);
        reply.op = Arp::REPLY;
        assert_eq!(judged(reply, true), bad);
    }
}

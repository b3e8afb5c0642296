//! What holds whatever a network or a peer does: bounds, and rules of growth.

use super::std::vec::Vec;
use crate::tcp::congestion::*;
use core::time::Duration;
use phy::Instant;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Milliseconds go by.
    Wait(u64),
    Sent(u32),
    /// Octets, microseconds of round trip, in recovery.
    Ack(u32, Option<u64>, bool, Flags),
    Loss(u8),
    Lost(u32, u32, u32),
    Recovered,
    Undo,
    Mtu(u16),
}

#[derive(Debug, Clone, Copy)]
struct Flags {
    app_limited: bool,
    paced: bool,
    /// Octets per second and of its interval.
    rate: Option<(u64, u32, u32)>,
}

fn octets() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..100_000, 1 => any::<u32>()]
}

fn step() -> impl Strategy<Value = Step> {
    let rate = prop::option::of((any::<u64>(), octets(), octets()));
    let flags = (any::<bool>(), any::<bool>(), rate).prop_map(|(app_limited, paced, rate)| Flags {
        app_limited,
        paced,
        rate,
    });
    let rtt = prop::option::of(prop_oneof![0_u64..500_000, any::<u64>()]);
    prop_oneof![
        4 => (0_u64..200).prop_map(Step::Wait),
        1 => any::<u64>().prop_map(|ms| Step::Wait(ms >> 24)),
        4 => octets().prop_map(Step::Sent),
        12 => (octets(), rtt, any::<bool>(), flags)
            .prop_map(|(n, rtt, recovery, f)| Step::Ack(n, rtt, recovery, f)),
        1 => (0_u8..4).prop_map(Step::Loss),
        1 => (octets(), octets(), octets()).prop_map(|(a, b, c)| Step::Lost(a, b, c)),
        1 => Just(Step::Recovered),
        1 => Just(Step::Undo),
        1 => (500_u16..9000).prop_map(Step::Mtu),
        1 => any::<u16>().prop_map(Step::Mtu),
    ]
}

/// Runs `steps`, and looks at the window before and after each.
fn run<C: Congestion>(
    steps: &[Step],
    mut check: impl FnMut(&Step, &C, u32, u32, u32) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut mss = 1460_u32;
    let mut cc = C::new(Instant::ZERO, 1460);
    let mut now = Instant::from_millis(1);
    let mut pipe = 0_u32;
    let mut delivered = 0_u32;
    for step in steps {
        let before = cc.window();
        match *step {
            Step::Wait(ms) => now += Duration::from_millis(ms),
            Step::Sent(n) => {
                pipe = pipe.saturating_add(n);
                cc.on_sent(now, n, pipe);
            }
            Step::Ack(n, rtt, recovery, flags) => {
                pipe = pipe.saturating_sub(n);
                let ack = Ack {
                    now,
                    acked: n,
                    delivered: n,
                    in_flight: pipe.saturating_add(n),
                    pipe,
                    rtt: rtt.map(Duration::from_micros),
                    delivery_rate: flags.rate.map(|(rate, octets, lost)| RateSample {
                        rate,
                        delivered: octets,
                        prior_delivered: delivered,
                        tx_in_flight: pipe,
                        lost,
                        app_limited: flags.app_limited,
                        ..RateSample::default()
                    }),
                    app_limited: flags.app_limited,
                    paced: flags.paced,
                    ..Ack::default()
                };
                delivered = delivered.wrapping_add(n);
                if recovery {
                    cc.on_recovery(&ack);
                } else {
                    cc.on_ack(&ack);
                }
            }
            Step::Loss(kind) => {
                let loss = match kind {
                    0 => Loss::Detected,
                    1 => Loss::Ecn,
                    2 => Loss::Timeout,
                    _ => Loss::Repeated,
                };
                cc.on_loss(now, loss, pipe);
            }
            Step::Lost(octets, tx_in_flight, since_sent) => cc.on_lost(&Lost {
                now,
                octets,
                tx_in_flight,
                since_sent,
                app_limited: false,
            }),
            Step::Recovered => cc.on_recovered(now),
            Step::Undo => cc.on_undo(),
            Step::Mtu(new) => {
                mss = u32::from(new.max(1));
                cc.on_mtu(new);
            }
        }
        check(step, &cc, before, cc.window(), mss)?;
    }
    Ok(())
}

/// At least a segment, never more than sequence numbers can tell apart; a pace above nothing.
fn bounded<C: Congestion>(steps: &[Step]) -> Result<(), TestCaseError> {
    run::<C>(steps, |_, cc, _, after, mss| {
        prop_assert!((mss..=1 << 30).contains(&after), "{after} {cc:?}");
        prop_assert!(cc.pacing_rate() != Some(0), "{cc:?}");
        prop_assert!(cc.threshold() != Some(0), "{cc:?}");
        Ok(())
    })
}

/// What loss-based algorithms have in common.
fn loss_based<C: Congestion>(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut timeout = false;
    run::<C>(steps, |step, cc, before, after, mss| {
        match step {
            Step::Ack(n, _, recovery, _) => {
                // Only news lets it grow, by no more than arrived and a segment.
                prop_assert!(after >= before);
                prop_assert!(after - before <= n.saturating_add(mss));
                prop_assert!(!recovery || after == before);
            }
            Step::Loss(kind) => {
                prop_assert!(after <= before.max(mss * 2));
                timeout |= *kind > 1;
            }
            Step::Undo => prop_assert!(after >= before),
            Step::Mtu(_) => {}
            _ => prop_assert_eq!(after, before),
        }
        prop_assert!(timeout || after >= mss * 2, "{:?}", cc);
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_and_rates_keep_their_bounds(steps in prop::collection::vec(step(), 1..300)) {
        bounded::<Reno>(&steps)?;
        bounded::<Cubic<Standard>>(&steps)?;
        bounded::<Cubic>(&steps)?;
        bounded::<Cubic<HyStartPlus>>(&steps)?;
        bounded::<Bbr>(&steps)?;
        bounded::<Any>(&steps)?;
    }

    #[test]
    fn loss_based_windows_grow_by_news_and_shrink_by_losses(
        steps in prop::collection::vec(step(), 1..300)
    ) {
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Mtu(..500)))
            .collect();
        loss_based::<Cubic<Standard>>(&steps)?;
        loss_based::<Cubic>(&steps)?;
        loss_based::<Cubic<HyStartPlus>>(&steps)?;
    }

    /// Four segments are BBR's least, but between a timeout and the next acknowledgment.
    #[test]
    fn bbr_keeps_four_segments(steps in prop::collection::vec(step(), 1..300)) {
        let mut timeout = false;
        run::<Bbr>(&steps, |step, cc, _, after, mss| {
            match step {
                Step::Loss(2 | 3) => timeout = true,
                Step::Ack(..) => timeout = false,
                _ => {}
            }
            prop_assert!(timeout || after >= (4 * mss).min(1 << 30), "{:?}", cc);
            Ok(())
        })?;
    }

    /// Another algorithm goes on with the window there is, after anything.
    #[test]
    fn any_goes_from_one_to_another(
        steps in prop::collection::vec(step(), 1..100), which in 0_usize..3, to in 0_usize..3,
    ) {
        let mut any = Any::with(Algorithm::ALL[which], Instant::ZERO, 1460);
        run::<Any>(&steps, |_, cc, _, _, _| {
            any = cc.clone();
            Ok(())
        })?;
        let window = any.window();
        prop_assert!(any.select(Instant::ZERO, Algorithm::ALL[to]));
        prop_assert_eq!((any.window(), any.algorithm()), (window, Algorithm::ALL[to]));
    }
}

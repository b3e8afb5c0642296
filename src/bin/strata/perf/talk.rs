//! What may be said when on the control connection, at either end.
//!
//! Invariant: octets in, meaning out; nothing here knows sockets or time. A message out of turn
//! is an error, never a guess.

use super::params::{Params, Refused};
use super::results::Results;
use super::wire::{Bad, Inbox, State};

/// What a server hears.
#[derive(Debug, PartialEq)]
pub enum Asked {
    /// This test is wanted.
    Test(Box<Params>),
    /// The client has had enough.
    End,
    /// The client's numbers.
    Results(Box<Results>),
    /// All is said.
    Bye,
    /// The client was stopped.
    Terminated,
}

/// What a client hears.
#[derive(Debug, PartialEq)]
pub enum Told {
    /// Say what is wanted.
    TellParams,
    /// Open the streams.
    OpenStreams,
    /// All streams are there.
    Start,
    /// Send.
    Run,
    /// Say your numbers.
    TellResults,
    /// The server's numbers.
    Results(Box<Results>),
    /// That was all.
    Display,
    /// There is a test already.
    Denied,
    /// It cannot be done, for iperf3's reason of this number.
    Failed(u32),
    /// The server was stopped.
    Terminated,
}

/// Why a dialogue ends before its end.
#[derive(Debug, PartialEq)]
pub enum Trouble {
    /// Not this protocol.
    Bad(Bad),
    /// Not this test.
    Refused(Refused),
}

impl From<Bad> for Trouble {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bad(bad) => bad.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

/// How far a dialogue is, for both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The client's cookie was sent.
    Begun,
    /// The server asked for the parameters.
    Params,
    /// Streams are being opened.
    Streams,
    /// All streams are there.
    Ready,
    /// The test runs.
    Running,
    /// It is over, and the client said so.
    Ended,
    /// Results are told.
    Results,
    /// The server told its own.
    Told,
    /// Nothing is to be said any more.
    Over,
}

/// The server's half.
#[derive(Debug)]
pub struct ServerTalk {
    /// Set by the server where it is its turn.
    pub phase: Phase,
}

impl ServerTalk {
    /// After the cookie: parameters are asked for.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Params,
        }
    }

    /// The next thing the client said, if it is there in full.
    ///
    /// # Errors
    /// When it is not what could be said now.
    pub fn hear(&mut self, inbox: &mut Inbox) -> Result<Option<Asked>, Trouble> {
        match self.phase {
            Phase::Params => {
                let Some(json) = inbox.json()? else {
                    return Ok(None);
                };
                let params = Params::from_json(&json).map_err(Trouble::Refused)?;
                self.phase = Phase::Streams;
                Ok(Some(Asked::Test(Box::new(params))))
            }
            Phase::Results => {
                let Some(json) = inbox.json()? else {
                    return Ok(None);
                };
                let results = Results::from_json(&json)?;
                self.phase = Phase::Told;
                Ok(Some(Asked::Results(Box::new(results))))
            }
            phase => match inbox.state()? {
                None => Ok(None),
                Some(State::ClientTerminate) => {
                    self.phase = Phase::Over;
                    Ok(Some(Asked::Terminated))
                }
                Some(State::TestEnd) if phase == Phase::Running => {
                    self.phase = Phase::Ended;
                    Ok(Some(Asked::End))
                }
                Some(State::IperfDone) if phase == Phase::Told => {
                    self.phase = Phase::Over;
                    Ok(Some(Asked::Bye))
                }
                Some(other) => Err(Bad::Unexpected(other).into()),
            },
        }
    }
}

/// The client's half.
#[derive(Debug)]
pub struct ClientTalk {
    /// Set by the client where it is its turn.
    pub phase: Phase,
    /// Two numbers are to follow.
    failing: bool,
    /// Anything heard yet?
    heard: bool,
}

impl ClientTalk {
    /// After the cookie was sent.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Begun,
            failing: false,
            heard: false,
        }
    }

    /// Has the other end shown that it is one of ours?
    pub fn is_known(&self) -> bool {
        self.heard
    }

    /// The next thing the server said, if it is there in full.
    ///
    /// # Errors
    /// When it is not what could be said now.
    pub fn hear(&mut self, inbox: &mut Inbox) -> Result<Option<Told>, Bad> {
        if self.failing {
            let Some([a, b, c, d, ..]) = inbox.take::<8>() else {
                return Ok(None);
            };
            self.phase = Phase::Over;
            return Ok(Some(Told::Failed(u32::from_be_bytes([a, b, c, d]))));
        }
        if self.phase == Phase::Results {
            let Some(json) = inbox.json()? else {
                return Ok(None);
            };
            let results = Results::from_json(&json)?;
            self.phase = Phase::Told;
            return Ok(Some(Told::Results(Box::new(results))));
        }
        let Some(state) = inbox.state()? else {
            return Ok(None);
        };
        let (next, told) = match (state, self.phase) {
            (State::ParamExchange, Phase::Begun) => (Phase::Params, Told::TellParams),
            (State::CreateStreams, Phase::Params) => (Phase::Streams, Told::OpenStreams),
            (State::TestStart, Phase::Streams) => (Phase::Ready, Told::Start),
            (State::TestRunning, Phase::Ready) => (Phase::Running, Told::Run),
            (State::ExchangeResults, Phase::Ended) => (Phase::Results, Told::TellResults),
            (State::DisplayResults, Phase::Told) => (Phase::Over, Told::Display),
            (State::AccessDenied, _) => (Phase::Over, Told::Denied),
            (State::ServerTerminate, _) => (Phase::Over, Told::Terminated),
            (State::ServerError, _) => {
                (self.failing, self.heard) = (true, true);
                return self.hear(inbox);
            }
            (other, _) => return Err(Bad::Unexpected(other)),
        };
        self.heard = true;
        self.phase = next;
        Ok(Some(told))
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::put_json;
    use super::*;

    fn inbox(octets: &[u8]) -> Inbox {
        let mut inbox = Inbox::new(1 << 16);
        assert_eq!(inbox.fill(octets), octets.len());
        inbox
    }

    #[test]
    fn a_client_is_led_through_a_test() {
        // Octets of a server of version 3.12, in two pieces.
        let mut talk = ClientTalk::new();
        let mut first = inbox(&[9, 10, 1, 2]);
        let mut heard = Vec::new();
        while let Some(told) = talk.hear(&mut first).unwrap() {
            heard.push(told);
        }
        assert_eq!(
            heard,
            [Told::TellParams, Told::OpenStreams, Told::Start, Told::Run]
        );
        talk.phase = Phase::Ended;
        let mut rest = vec![13];
        put_json(&Results::default().to_json(false, |_| true), &mut rest);
        rest.push(14);
        let mut rest = inbox(&rest);
        assert_eq!(talk.hear(&mut rest), Ok(Some(Told::TellResults)));
        assert!(matches!(talk.hear(&mut rest), Ok(Some(Told::Results(_)))));
        assert_eq!(talk.hear(&mut rest), Ok(Some(Told::Display)));
        assert_eq!(talk.phase, Phase::Over);
    }

    #[test]
    fn servers_that_will_not() {
        let hear = |octets: &[u8]| ClientTalk::new().hear(&mut inbox(octets));
        assert_eq!(hear(&[0xff]), Ok(Some(Told::Denied)));
        assert_eq!(hear(&[11]), Ok(Some(Told::Terminated)));
        assert_eq!(
            hear(&[0xfe, 0, 0, 0, 6, 0, 0, 0, 1]),
            Ok(Some(Told::Failed(6)))
        );
        assert_eq!(hear(b"SSH-2.0"), Err(Bad::State(b'S')));
        assert_eq!(hear(&[2]), Err(Bad::Unexpected(State::TestRunning)));
        // The numbers may come later.
        let (mut talk, mut begun) = (ClientTalk::new(), inbox(&[0xfe, 0, 0]));
        assert_eq!(talk.hear(&mut begun), Ok(None));
        begun.fill(&[0, 7, 0, 0, 0, 0]);
        assert_eq!(talk.hear(&mut begun), Ok(Some(Told::Failed(7))));
    }

    #[test]
    fn a_server_is_asked() {
        let mut wire = Vec::new();
        put_json(&Params::default().to_json(), &mut wire);
        let (mut talk, mut inbox) = (ServerTalk::new(), inbox(&wire));
        let asked = talk.hear(&mut inbox);
        assert_eq!(asked, Ok(Some(Asked::Test(Box::default()))));
        assert_eq!(talk.hear(&mut inbox), Ok(None));
        talk.phase = Phase::Running;
        inbox.fill(&[4]);
        assert_eq!(talk.hear(&mut inbox), Ok(Some(Asked::End)));
        talk.phase = Phase::Results;
        let mut wire = Vec::new();
        put_json(&Results::default().to_json(true, |_| true), &mut wire);
        wire.push(16);
        inbox.fill(&wire);
        assert!(matches!(talk.hear(&mut inbox), Ok(Some(Asked::Results(_)))));
        assert_eq!(talk.hear(&mut inbox), Ok(Some(Asked::Bye)));
    }

    #[test]
    fn clients_that_talk_nonsense() {
        let at = |phase, octets: &[u8]| {
            let mut talk = ServerTalk::new();
            talk.phase = phase;
            talk.hear(&mut inbox(octets))
        };
        for phase in [
            Phase::Streams,
            Phase::Ready,
            Phase::Running,
            Phase::Ended,
            Phase::Told,
        ] {
            assert_eq!(at(phase, &[12]), Ok(Some(Asked::Terminated)));
            assert!(
                at(phase, &[9]).is_err() && at(phase, &[0x63]).is_err(),
                "{phase:?}"
            );
        }
        assert!(at(Phase::Streams, &[4]).is_err() && at(Phase::Running, &[16]).is_err());
        let refused = at(Phase::Params, b"\0\0\0\x10{\"parallel\":999}");
        assert!(matches!(
            refused,
            Err(Trouble::Refused(Refused { code: 6, .. }))
        ));
        assert!(matches!(
            at(Phase::Params, b"\xff\xff\xff\xff"),
            Err(Trouble::Bad(_))
        ));
        assert!(matches!(
            at(Phase::Results, b"\0\0\0\x02[]"),
            Err(Trouble::Bad(_))
        ));
    }
}

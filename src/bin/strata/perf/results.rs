//! What one end tells the other of its numbers when a test is over.
//!
//! Invariant: whatever a peer tells is read as far as it makes sense; numbers that are none
//! count as 0, and nothing of it is trusted to agree with ours.

use serde_json::{Map, Value, json};

use super::cpu::Use;
use super::tally::Figures;
use super::wire::Bad;

/// One end's numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    /// Share of a processor it took.
    pub cpu: Use,
    /// Does it know of segments sent again?
    pub has_retransmits: bool,
    /// Congestion control of its streams.
    pub congestion: Option<String>,
    /// In the order of the streams.
    pub streams: Vec<StreamResult>,
    /// What a server printed, if that was asked for.
    pub output: Option<String>,
}

/// One stream's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamResult {
    /// The number the stream goes by.
    pub id: u32,
    /// What moved.
    pub figures: Figures,
    /// Datagrams, and losses among them, from before it counted. iperf3 tells both with the rest,
    /// and versions before 3.13 do not tell how many they were.
    pub omitted: Option<(u64, i64)>,
    /// In how many seconds.
    pub seconds: f64,
}

impl Results {
    /// The stream with that number; nothing moved if there is none.
    pub fn stream(&self, id: u32) -> StreamResult {
        let found = self.streams.iter().find(|stream| stream.id == id);
        found.copied().unwrap_or_default()
    }

    /// As [`stream`](Self::stream), of what the other end told: what does not count is taken
    /// off, by `omitted` of ours if it was not told.
    pub fn remote_stream(&self, id: u32, omitted: &Figures) -> StreamResult {
        let mut stream = self.stream(id);
        let (packets, errors) = stream.omitted.unwrap_or((omitted.packets, omitted.lost));
        let figures = &mut stream.figures;
        figures.packets = figures.packets.saturating_sub(packets);
        figures.lost = figures.lost.saturating_sub(errors);
        stream
    }

    /// As it is told. `sends` tells which streams this end sends on, `udp` whether there is
    /// anything to be sent again at all.
    pub fn to_json(&self, udp: bool, sends: impl Fn(u32) -> bool) -> Value {
        let streams: Vec<_> = self
            .streams
            .iter()
            .map(|stream| {
                let f = &stream.figures;
                let again = sends(stream.id) && !udp;
                let (packets, errors) = stream.omitted.unwrap_or_default();
                json!({
                    "id": stream.id, "bytes": f.octets,
                    "retransmits": if again { Value::from(f.retransmits) } else { json!(-1) },
                    "jitter": f.jitter, "errors": f.lost.saturating_add(errors),
                    "packets": f.packets.saturating_add(packets),
                    "omitted_errors": errors, "omitted_packets": packets,
                    "start_time": 0, "end_time": stream.seconds,
                })
            })
            .collect();
        let any = self.streams.iter().any(|stream| sends(stream.id));
        let mut o = Map::new();
        o.insert("cpu_util_total".into(), json!(self.cpu.total()));
        o.insert("cpu_util_user".into(), json!(self.cpu.user));
        o.insert("cpu_util_system".into(), json!(self.cpu.system));
        let retransmits = match (any, udp) {
            (false, _) => -1,
            (true, udp) => i32::from(!udp),
        };
        o.insert("sender_has_retransmits".into(), json!(retransmits));
        if let Some(name) = &self.congestion {
            o.insert("congestion_used".into(), json!(name));
        }
        if let Some(text) = &self.output {
            o.insert("server_output_text".into(), json!(text));
        }
        o.insert("streams".into(), Value::Array(streams));
        Value::Object(o)
    }

    /// What the other end tells.
    ///
    /// # Errors
    /// When it is no results at all.
    pub fn from_json(value: &Value) -> Result<Self, Bad> {
        let streams = value.get("streams").and_then(Value::as_array);
        let streams = streams.ok_or_else(|| Bad::Json("results without streams".into()))?;
        let float = |value: &Value, name: &str| {
            let number = value.get(name).and_then(Value::as_f64);
            number.filter(|n| n.is_finite()).unwrap_or(0.0)
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(printable);
        let streams = streams
            .iter()
            .map(|stream| StreamResult {
                id: u32::try_from(natural(stream, "id")).unwrap_or(0),
                figures: Figures {
                    octets: natural(stream, "bytes"),
                    packets: natural(stream, "packets"),
                    lost: i64::try_from(natural(stream, "errors")).unwrap_or(0),
                    out_of_order: 0,
                    jitter: float(stream, "jitter").max(0.0),
                    retransmits: natural(stream, "retransmits"),
                },
                omitted: stream.get("omitted_packets").map(|_| {
                    let errors = natural(stream, "omitted_errors");
                    let packets = natural(stream, "omitted_packets");
                    (packets, i64::try_from(errors).unwrap_or(0))
                }),
                seconds: (float(stream, "end_time") - float(stream, "start_time")).max(0.0),
            })
            .collect();
        Ok(Self {
            cpu: Use {
                user: float(value, "cpu_util_user"),
                system: float(value, "cpu_util_system"),
            },
            has_retransmits: natural(value, "sender_has_retransmits") == 1,
            congestion: text("congestion_used"),
            streams,
            output: text("server_output_text")
                .or_else(|| value.get("server_output_json").map(Value::to_string)),
        })
    }
}

/// A number not below zero; iperf3 writes -1, also as 2^64 - 1, for one it does not know.
fn natural(value: &Value, name: &str) -> u64 {
    let number = value.get(name);
    number
        .and_then(Value::as_u64)
        .filter(|n| *n <= i64::MAX as u64)
        .unwrap_or(0)
}

/// Somebody else's text without what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_server_of_version_3_12_tells_them() {
        let said = r#"{"cpu_util_total":3.6,"cpu_util_user":3.6,"cpu_util_system":0,
            "sender_has_retransmits":18446744073709551615,"congestion_used":"bbr",
            "streams":[{"id":1,"bytes":288768,"retransmits":18446744073709551615,"jitter":0.5,
            "errors":2,"packets":9,"start_time":0,"end_time":0.002941}]}"#;
        let results = Results::from_json(&serde_json::from_str(said).unwrap()).unwrap();
        assert!(!results.has_retransmits);
        assert_eq!(results.congestion.as_deref(), Some("bbr"));
        let one = results.stream(1);
        assert_eq!((one.figures.octets, one.figures.retransmits), (288_768, 0));
        assert_eq!((one.figures.packets, one.figures.lost), (9, 2));
        assert_eq!(one.seconds, 0.002941);
        assert_eq!(results.stream(3), StreamResult::default());
    }

    #[test]
    fn ours_come_back_as_they_went() {
        let figures = Figures {
            octets: 5,
            packets: 4,
            lost: 1,
            retransmits: 7,
            ..Figures::default()
        };
        let results = Results {
            cpu: Use {
                user: 1.5,
                system: 0.25,
            },
            has_retransmits: true,
            congestion: Some("cubic".into()),
            streams: vec![StreamResult {
                id: 1,
                figures,
                seconds: 1.25,
                omitted: Some((0, 0)),
            }],
            output: Some("a\nb".into()),
        };
        let told = results.to_json(false, |_| true);
        assert_eq!(Results::from_json(&told), Ok(results.clone()));
        let mut late = results.clone();
        late.streams[0].omitted = Some((10, 2));
        let told_late = Results::from_json(&late.to_json(true, |_| true)).unwrap();
        assert_eq!(told_late.stream(1).figures.packets, 14);
        let counted = told_late.remote_stream(1, &Figures::default()).figures;
        assert_eq!((counted.packets, counted.lost), (4, 1));
        let receiver = results.to_json(false, |_| false);
        assert_eq!(receiver["streams"][0]["retransmits"], -1);
    }

    #[test]
    fn nonsense_is_told_or_counts_nothing() {
        for bad in ["[]", "{}", r#"{"streams":7}"#] {
            assert!(Results::from_json(&serde_json::from_str(bad).unwrap()).is_err());
        }
        let odd = r#"{"streams":[7,{"id":-1,"bytes":"x","end_time":1e999}],
            "server_output_text":"\u001b[2Jx"}"#;
        // A number that is no finite one is no JSON.
        assert!(serde_json::from_str::<Value>(odd).is_err());
        let odd = odd.replace("1e999", "-5");
        let results = Results::from_json(&serde_json::from_str(&odd).unwrap()).unwrap();
        assert_eq!(results.streams, vec![StreamResult::default(); 2]);
        assert_eq!(results.output.as_deref(), Some("[2Jx"));
    }
}

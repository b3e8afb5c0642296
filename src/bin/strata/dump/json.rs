//! A packet as one JSON object: the fields programs ask for, and the line people read.

use serde_json::{Map, Value, json};

use super::printer::Printer;
use crate::clock;
use crate::frame::Frame;
use crate::services::protocol_name;
use crate::view::{Net, View};

/// Appends the object and the end of the line.
pub fn print(p: &mut Printer, frame: &Frame<'_>, view: &View<'_>, out: &mut String) {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.into(), value);
    put("timestamp", clock::iso(frame.time).into());
    put("length", frame.len.into());
    if let Some(link) = &view.link {
        put("src_mac", link.src.to_string().into());
        put("dst_mac", link.dst.to_string().into());
    }
    let tags: Vec<u16> = view.tags.iter().flatten().copied().collect();
    if !tags.is_empty() {
        put("vlan", json!(tags));
    }
    match &view.net {
        Net::Ip(ip) => {
            put("src_ip", ip.src.to_string().into());
            put("dst_ip", ip.dst.to_string().into());
            match protocol_name(ip.proto) {
                Some(name) => put("proto", name.into()),
                None => put("proto", ip.proto.into()),
            };
            if let Some((src, dst)) = ip.ports() {
                put("src_port", src.into());
                put("dst_port", dst.into());
            }
        }
        Net::Arp(arp) => {
            put("src_ip", arp.sender.1.to_string().into());
            put("dst_ip", arp.target.1.to_string().into());
            put("proto", "arp".into());
        }
        Net::Malformed | Net::Other => {}
    }
    let start = out.len();
    p.print_alone(frame, out);
    let line = out.split_off(start);
    object.insert("line".into(), line.trim_end().into());
    out.push_str(&Value::Object(object).to_string());
    out.push('\n');
}

//! What the lab looks like: two hosts, a cable between them, a tap in the first.
//!
//! Invariant: everything is inside the two namespaces, so that removing them removes all of it,
//! and no address of the kernel is one we use: ours are 192.168.0.10 on the cable, beside the
//! kernel with a link address of our own, and 192.168.1.2 behind the tap.

/// One of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Host {
    Host1,
    Host2,
}

/// An interface of a host.
pub struct Link {
    pub host: Host,
    pub interface: &'static str,
    /// The kernel's address.
    pub address: &'static str,
    pub peer: &'static str,
}

/// A lab by name; the first has none.
pub struct Plan {
    prefix: String,
}

impl Plan {
    /// The lab `name`, which may be empty.
    pub fn new(name: String) -> Self {
        Self { prefix: name }
    }

    /// The name, for files.
    pub fn file_name(&self) -> &str {
        if self.prefix.is_empty() {
            "default"
        } else {
            &self.prefix
        }
    }

    /// The namespace of a host.
    pub fn namespace(&self, host: Host) -> String {
        let host = match host {
            Host::Host1 => "host1",
            Host::Host2 => "host2",
        };
        if self.prefix.is_empty() {
            host.into()
        } else {
            format!("{}-{host}", self.prefix)
        }
    }

    /// Both namespaces.
    pub fn namespaces(&self) -> [String; 2] {
        [Host::Host1, Host::Host2].map(|host| self.namespace(host))
    }

    /// The interfaces.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        [
            Link {
                host: Host::Host1,
                interface: "host1-veth",
                address: "192.168.0.2/24",
                peer: "host2-veth, and our stack as 192.168.0.10",
            },
            Link {
                host: Host::Host1,
                interface: "tap0",
                address: "192.168.1.1/24",
                peer: "our stack as 192.168.1.2",
            },
            Link {
                host: Host::Host2,
                interface: "host2-veth",
                address: "192.168.0.3/24",
                peer: "host1-veth",
            },
        ]
        .into_iter()
    }

    /// Arguments of `ip` that fill the two namespaces.
    pub fn steps(&self) -> Vec<Vec<String>> {
        let [one, two] = self.namespaces();
        let mut steps = Vec::new();
        let mut step = |words: &str| steps.push(words.split(' ').map(String::from).collect());
        step(&format!("-n {one} link set lo up"));
        step(&format!("-n {two} link set lo up"));
        step(&format!(
            "-n {one} link add host1-veth type veth peer name host2-veth netns {two}"
        ));
        step(&format!("-n {one} tuntap add dev tap0 mode tap"));
        for link in self.links() {
            let (ns, name) = (self.namespace(link.host), link.interface);
            // Without IPv6 addresses the kernel keeps quiet until somebody speaks to it.
            step(&format!("-n {ns} link set dev {name} addrgenmode none"));
            step(&format!("-n {ns} address add {} dev {name}", link.address));
            step(&format!("-n {ns} link set dev {name} up"));
        }
        steps
    }

    /// Commands to paste, each with what it shows.
    pub fn examples(&self) -> Vec<(String, &'static str)> {
        let lab = match self.prefix.as_str() {
            "" => "strata lab exec".to_string(),
            name => format!("strata lab --name {name} exec"),
        };
        let raw = "--phy raw:host1-veth --addr 192.168.0.10/24";
        let tap = "--phy tap:tap0 --addr 192.168.1.2/24";
        vec![
            (
                format!("{lab} host1 strata ping -c 3 {tap} 192.168.1.1"),
                "we ping the kernel",
            ),
            (
                format!("{lab} host1 strata tcpserver {raw} --port 8888"),
                "we serve, beside the kernel",
            ),
            (
                format!("{lab} host2 ping -c 3 192.168.0.10"),
                "the kernel pings us",
            ),
            (
                format!("{lab} host2 nc 192.168.0.10 8888"),
                "the kernel talks to us",
            ),
            (
                format!("{lab} host1 strata dump -n -i host1-veth"),
                "what passes by",
            ),
        ]
    }
}

/// A name that fits into the names of namespaces.
pub fn name(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !text.starts_with('-');
    match fits {
        true => Ok(text.into()),
        false => Err("expected 1 to 32 letters, digits, hyphens or underscores".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        assert!(name("a-b_1").is_ok());
        for bad in ["", "../x", "a b", "-n", "x;y", &"a".repeat(33)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        let plan = Plan::new("mine".into());
        assert_eq!(plan.namespaces(), ["mine-host1", "mine-host2"]);
        assert_eq!(Plan::new(String::new()).namespaces(), ["host1", "host2"]);
    }

    #[test]
    fn nothing_is_done_outside_of_the_namespaces() {
        for step in Plan::new("x".into()).steps() {
            assert_eq!(step[0], "-n", "{step:?}");
            assert!(step[1].starts_with("x-host"), "{step:?}");
        }
    }
}

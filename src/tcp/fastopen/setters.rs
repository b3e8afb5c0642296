//! Options of Fast Open, named as Linux names them.

use crate::tcp::socket::TcpSocket;

impl<R, T, C> TcpSocket<R, T, C> {
    /// Of a listener: gives the text of a SYN to the application before the handshake ends, if
    /// it comes with a cookie of ours (RFC 7413), for up to `pending` connections at once that
    /// have not proved themselves; 0, the default, for none (`TCP_FASTOPEN`). Should the network
    /// duplicate SYNs, such text may come twice, on two connections (RFC 7413 §6.1). Counts for
    /// nothing unless [`Config::fastopen_server`](crate::tcp::Config::fastopen_server) is set.
    pub fn set_fastopen(&mut self, pending: u16) {
        self.change(|o| o.fastopen = pending);
    }

    /// See [`set_fastopen`](Self::set_fastopen).
    pub fn fastopen(&self) -> u16 {
        self.options().fastopen
    }

    /// Of a socket that will connect: sends the first text with the SYN to a server known to
    /// take it, and asks others for a cookie (`TCP_FASTOPEN_CONNECT`). With a cookie the SYN
    /// waits until something is written, or [`shutdown`](Self::shutdown) called; there is news of
    /// the socket when it begins to wait. What the SYN carries may reach the server's application
    /// twice (RFC 7413 §6.1).
    pub fn set_fastopen_connect(&mut self, on: bool) {
        self.change(|o| o.fastopen_connect = on);
    }

    /// See [`set_fastopen_connect`](Self::set_fastopen_connect).
    pub fn fastopen_connect(&self) -> bool {
        self.options().fastopen_connect
    }

    /// With [`set_fastopen_connect`](Self::set_fastopen_connect): needs no cookie
    /// (`TCP_FASTOPEN_NO_COOKIE`). For networks of one owner only.
    pub fn set_fastopen_no_cookie(&mut self, on: bool) {
        self.change(|o| o.fastopen_no_cookie = on);
    }

    /// See [`set_fastopen_no_cookie`](Self::set_fastopen_no_cookie).
    pub fn fastopen_no_cookie(&self) -> bool {
        self.options().fastopen_no_cookie
    }
}

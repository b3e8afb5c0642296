/*
 * One lwIP host for the benchmark, by its raw API: built as a shared object by ci/bench.sh where
 * liblwip-dev is installed, and loaded twice, each time with a copy of lwIP of its own
 * (src/lwip.rs). No thread of lwIP's runs: the benchmark polls.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>

/* As many frames on the way as on the cables of the others. */
#define QUEUE 1024
#define PIECE 65536

typedef void (*reader)(void *to, const void *octets, size_t len);

/* A frame of the cable; used again when lwIP has done with it. */
struct frame {
  struct pbuf_custom head; /* first: lwIP gives back a pointer to it */
  struct frame *next;
  size_t len;
  char octets[1600];
};

static struct netif wire;
static struct frame *spare, *first, **last = &first;
static unsigned queued;
static void *(*peer_frame)(void **frame);
static void (*peer_arrive)(void *frame, size_t len);

static struct tcp_pcb *bulk[2]; /* the one that sends, the one that receives */
static char into[PIECE];
static size_t at;
static uint64_t got;
static int in_place;
static reader look;
static void *look_to;
static unsigned stands;
static unsigned ended;
static struct udp_pcb *datagrams;
static ip_addr_t peer;

static void give_back(struct pbuf *p) {
  struct frame *frame = (struct frame *)p;
  frame->next = spare;
  spare = frame;
}

/* Room for a frame to this host, NULL if its queue is full. */
static void *frame_room(void **frame) {
  struct frame *f = spare;
  if (queued >= QUEUE) return NULL;
  if (f != NULL) spare = f->next;
  else f = malloc(sizeof *f);
  if (f == NULL) return NULL;
  *frame = f;
  return f->octets;
}

static void arrive(void *frame, size_t len) {
  struct frame *f = frame;
  f->len = len;
  f->next = NULL;
  *last = f;
  last = &f->next;
  queued++;
}

/* lwIP keeps what it sends until that is acknowledged, so a driver has to copy it. */
static err_t out(struct netif *netif, struct pbuf *p, const ip4_addr_t *to) {
  void *frame;
  char *room = peer_frame(&frame);
  size_t len = p->tot_len;
  (void)netif;
  (void)to;
  if (room == NULL) return ERR_BUF;
  for (; p != NULL; p = p->next) {
    memcpy(room, p->payload, p->len);
    room += p->len;
  }
  peer_arrive(frame, len);
  return ERR_OK;
}

static err_t up(struct netif *netif) {
  netif->name[0] = 'b';
  netif->name[1] = 'e';
  netif->output = out;
  netif->mtu = 1500;
  netif->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
  return ERR_OK;
}

static void open_host(uint32_t own, uint32_t other) {
  ip4_addr_t ip, mask, gw;
  lwip_init();
  ip.addr = own;
  mask.addr = PP_HTONL(0xffffff00UL);
  gw.addr = 0;
  ip_addr_set_ip4_u32_val(peer, other);
  netif_add(&wire, &ip, &mask, &gw, NULL, up, ip4_input);
  netif_set_default(&wire);
}

static void join(void *(*room)(void **), void (*take)(void *, size_t)) {
  peer_frame = room;
  peer_arrive = take;
}

static void turn(void) {
  while (first != NULL) {
    struct frame *f = first;
    struct pbuf *p;
    first = f->next;
    if (first == NULL) last = &first;
    queued--;
    f->head.custom_free_function = give_back;
    p = pbuf_alloced_custom(PBUF_RAW, f->len, PBUF_REF, &f->head, f->octets, sizeof f->octets);
    if (wire.input(p, &wire) != ERR_OK) pbuf_free(p);
  }
  sys_check_timeouts();
}

/* What the application does with text: copies it, or looks at it where it lies. */
static void take(const struct pbuf *p) {
  for (; p != NULL; p = p->next) {
    const char *from = p->payload;
    size_t left = p->len;
    got += left;
    while (!in_place && left > 0) {
      size_t n = left < PIECE - at ? left : PIECE - at;
      memcpy(into + at, from, n);
      if (look != NULL) look(look_to, into + at, n);
      at = (at + n) % PIECE;
      from += n;
      left -= n;
    }
    if (in_place && look != NULL) look(look_to, from, left);
  }
}

static err_t bulk_text(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
  (void)arg;
  (void)err;
  if (p == NULL) return ERR_OK;
  take(p);
  tcp_recved(pcb, p->tot_len);
  pbuf_free(p);
  return ERR_OK;
}

static err_t bulk_guest(void *arg, struct tcp_pcb *pcb, err_t err) {
  (void)arg;
  (void)err;
  if (bulk[1] == NULL) bulk[1] = pcb;
  tcp_recv(pcb, bulk_text);
  stands++;
  return ERR_OK;
}

static err_t bulk_stands(void *arg, struct tcp_pcb *pcb, err_t err) {
  (void)arg;
  (void)err;
  if (bulk[0] == NULL) bulk[0] = pcb;
  stands++;
  return ERR_OK;
}

static int listen_for(uint16_t port, tcp_accept_fn guest) {
  struct tcp_pcb *pcb = tcp_new();
  if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) return -1;
  pcb = tcp_listen_with_backlog(pcb, 255);
  if (pcb == NULL) return -1;
  tcp_accept(pcb, guest);
  return 0;
}

static int serve_bulk(uint16_t port) { return listen_for(port, bulk_guest); }

static int call_bulk(uint16_t port) {
  struct tcp_pcb *pcb = tcp_new();
  if (pcb == NULL) return -1;
  tcp_nagle_disable(pcb);
  return tcp_connect(pcb, &peer, port, bulk_stands) == ERR_OK ? 0 : -1;
}

/* Connections that stand. */
static unsigned standing(void) { return stands; }

/* Writes as much as there is room for. */
static size_t send_bulk(const void *octets, size_t len) {
  size_t done = 0;
  while (done < len) {
    size_t n = len - done, room = tcp_sndbuf(bulk[0]);
    if (n > room) n = room;
    if (n == 0 || tcp_write(bulk[0], (const char *)octets + done, n, TCP_WRITE_FLAG_COPY) != ERR_OK) break;
    done += n;
  }
  tcp_output(bulk[0]);
  return done;
}

/* How text is read from now on, and who looks at it. */
static void read_bulk(int where, reader by, void *to) {
  in_place = where;
  look = by;
  look_to = to;
  got = 0;
  at = 0;
}

static uint64_t received(void) { return got; }

/* Answers an octet, and closes after the other side. */
static err_t server_step(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
  (void)arg;
  (void)err;
  if (p == NULL) {
    ended++;
    return tcp_close(pcb);
  }
  tcp_recved(pcb, p->tot_len);
  pbuf_free(p);
  tcp_write(pcb, "!", 1, TCP_WRITE_FLAG_COPY);
  return tcp_output(pcb);
}

static err_t server_guest(void *arg, struct tcp_pcb *pcb, err_t err) {
  (void)arg;
  (void)err;
  tcp_recv(pcb, server_step);
  return ERR_OK;
}

static int serve_churn(uint16_t port) { return listen_for(port, server_guest); }

/* Closes when the answer is there. */
static err_t client_step(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
  (void)arg;
  (void)err;
  if (p == NULL) return ERR_OK;
  tcp_recved(pcb, p->tot_len);
  pbuf_free(p);
  return tcp_close(pcb);
}

static err_t client_stands(void *arg, struct tcp_pcb *pcb, err_t err) {
  (void)arg;
  (void)err;
  tcp_write(pcb, "?", 1, TCP_WRITE_FLAG_COPY);
  return tcp_output(pcb);
}

static int call_churn(uint16_t port) {
  struct tcp_pcb *pcb = tcp_new();
  if (pcb == NULL) return -1;
  tcp_recv(pcb, client_step);
  return tcp_connect(pcb, &peer, port, client_stands) == ERR_OK ? 0 : -1;
}

/* Connections that are neither over nor in TIME-WAIT: is there one? */
static int busy(void) { return tcp_active_pcbs != NULL; }

/* Connections whose end the server has seen. */
static unsigned ends(void) { return ended; }

/* Forgets connections in TIME-WAIT, as the benchmark of smoltcp does. */
static void forget(void) {
  while (tcp_tw_pcbs != NULL) tcp_abort(tcp_tw_pcbs);
  ended = 0;
}

static void datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port) {
  (void)arg;
  (void)pcb;
  (void)from;
  (void)port;
  pbuf_copy_partial(p, into, p->tot_len, 0);
  if (look != NULL) look(look_to, into, p->tot_len);
  got++;
  pbuf_free(p);
}

static int open_datagrams(uint16_t port) {
  datagrams = udp_new();
  if (datagrams == NULL || udp_bind(datagrams, IP_ADDR_ANY, port) != ERR_OK) return -1;
  udp_recv(datagrams, datagram, NULL);
  return 0;
}

static int send_datagram(uint16_t port, const void *octets, size_t len) {
  struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, len, PBUF_RAM);
  err_t err;
  if (p == NULL) return -1;
  memcpy(p->payload, octets, len);
  err = udp_sendto(datagrams, p, &peer, port);
  pbuf_free(p);
  return err == ERR_OK ? 0 : -1;
}

/* Octets of the heap of this copy that are in use. */
static size_t heap(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* In the order of `Calls` in src/lwip.rs. */
const struct {
  void (*open_host)(uint32_t, uint32_t);
  void (*join)(void *(*)(void **), void (*)(void *, size_t));
  void *(*frame_room)(void **);
  void (*arrive)(void *, size_t);
  void (*turn)(void);
  int (*serve_bulk)(uint16_t);
  int (*call_bulk)(uint16_t);
  unsigned (*standing)(void);
  size_t (*send_bulk)(const void *, size_t);
  void (*read_bulk)(int, reader, void *);
  uint64_t (*received)(void);
  int (*serve_churn)(uint16_t);
  int (*call_churn)(uint16_t);
  int (*busy)(void);
  unsigned (*ends)(void);
  void (*forget)(void);
  int (*open_datagrams)(uint16_t);
  int (*send_datagram)(uint16_t, const void *, size_t);
  size_t (*heap)(void);
} lwip_host = {
  open_host, join, frame_room, arrive, turn, serve_bulk, call_bulk, standing, send_bulk, read_bulk,
  received, serve_churn, call_churn, busy, ends, forget, open_datagrams, send_datagram, heap,
};

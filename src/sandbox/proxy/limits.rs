//! Every limit of the proxy, with what happens when it is reached.

use std::time::Duration;

/// Connections open at once; a further one waits to be accepted.
pub const CONNECTIONS_MAX: usize = 1024;

/// Bytes of a request's head over HTTP/1; a longer one is answered 431 and closed.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a request's target over HTTP/1; a longer one is answered 414 and closed.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a method; a longer one is answered 400 and closed.
pub const METHOD_BYTES_MAX: usize = 32;

/// Bytes of the line before a chunk, with its extensions; a longer one ends the connection.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Trailers of a request over HTTP/1; more end the connection.
pub const TRAILERS_MAX: usize = 32;

/// Bytes of those trailers; more end the connection.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Bytes read from an agent beyond the request that is served; further ones wait. More than a head.
pub const READ_AHEAD_BYTES_MAX: usize = HEAD_BYTES_MAX + 8 * 1024;

/// Time that an agent is listened to after the answer, so that it can read it; then the connection
/// is reset.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes thrown away in that time; then the connection is reset.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Time an agent's connection over HTTP/1 stays open between requests; then it is closed.
pub const AGENT_IDLE_TIME_MAX: Duration = Duration::from_secs(120);

/// Header fields of a request; more are answered 431 and closed.
pub const HEADERS_MAX: usize = 128;

/// Bytes of a request's header list over HTTP/2; a longer one is answered 431.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;

/// Bytes of one HTTP/2 frame that a peer may send; a longer one ends the connection. More than the
/// protocol's default, since each frame costs a wake-up on its way through.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// Requests at once on one HTTP/2 connection; further ones wait.
pub const STREAMS_MAX: u32 = 128;

/// Time for a request's head to arrive after its first byte; then it is answered 408 and closed.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Time for a TLS handshake with the agent; then the connection is closed.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Time without a frame after which a peer that speaks HTTP/2 is asked for a sign of life.
pub const PING_TIME_MAX: Duration = Duration::from_secs(30);

/// Time for that sign; then the connection is closed.
pub const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// Time to resolve a name and connect to it; then the request is answered 502.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);

/// Time for the receipt of a decision; then the request is answered 503.
pub const RECEIPT_TIME_MAX: Duration = Duration::from_secs(30);

/// Time for a token of an app; then the request is answered 502. Two calls of the daemon fit.
pub const TOKEN_TIME_MAX: Duration = Duration::from_secs(70);

/// Leaf certificates kept; beyond that all are forgotten and minted again.
pub const LEAVES_MAX: usize = 1024;

/// Idle upstream connections kept for each host; further ones are closed.
pub const IDLE_PER_HOST_MAX: usize = 32;

/// Hosts to which idle connections are kept; the one not used for longest makes room.
pub const IDLE_HOSTS_MAX: usize = 64;

/// Time an upstream connection is kept without being used; then it is closed.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(90);

/// Time for a response's head after the last byte of the request went up; then the request is
/// answered 502. Long, because agents wait for models to think.
pub const RESPONSE_HEAD_TIME_MAX: Duration = Duration::from_secs(600);

/// Time between two pieces of a body; then it is cut off.
pub const BODY_IDLE_TIME_MAX: Duration = Duration::from_secs(900);

/// Time that a body waits for upstream's `100 Continue`; then it is sent without (RFC 9110, 10.1.1).
pub const EXPECT_TIME_MAX: Duration = Duration::from_secs(1);

/// Time without a byte in either direction of a tunnel; then, and at the latest after twice as long,
/// it is closed.
pub const TUNNEL_IDLE_TIME_MAX: Duration = Duration::from_secs(900);

/// Streams over HTTP/2 that an agent opened and took back before they were served; one more ends the
/// connection (CVE-2023-44487).
pub const PENDING_RESETS_MAX: usize = 20;

/// Streams over HTTP/2 that were ended because of an agent's mistakes; one more ends the connection.
pub const LOCAL_RESETS_MAX: usize = 128;

/// Messages waiting to be written to the link; further ones wait.
pub const LINK_WAITING_MAX: usize = 1024;

/// Longest message on the link; a longer one ends the link.
pub const LINK_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest DNS query; a longer one is not answered.
pub const DNS_QUERY_BYTES_MAX: usize = 512;

/// Time for a DNS query over TCP to arrive; then the connection is closed.
pub const DNS_TCP_TIME_MAX: Duration = Duration::from_secs(5);

/// Longest path that is reported, in bytes; the rest is cut.
pub const REPORTED_PATH_BYTES_MAX: usize = 2048;

/// Bytes of a body that is read as a GraphQL request; a longer one is answered 403.
pub const GRAPHQL_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a body that is read for server-side tools; a longer one is answered 403. It is what the
/// Messages API itself takes (32 MB), rounded up, since each turn sends the whole conversation.
pub const TOOLS_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of all bodies that filters hold at once, until they are sent; a further one waits.
pub const FILTERED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Time for a body that a filter reads to arrive, waiting for room included; then the request is
/// answered 403.
pub const FILTERED_TIME_MAX: Duration = Duration::from_secs(120);

/// Deepest nesting of a body that a filter reads; a deeper one is answered 403.
pub const FILTERED_DEPTH_MAX: usize = 128;

/// Tokens of a GraphQL document; a longer one is answered 403.
pub const GRAPHQL_TOKENS_MAX: usize = 64 * 1024;

/// Characters of what a filter says of a request; the rest is cut, and said to be.
pub const FILTER_TAG_CHARS_MAX: usize = 1000;

//! The name server: names of the zone have an address, all others do not exist.

use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType, rdata::A};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::AnyError;
use crate::site::Site;

/// The bound sockets.
pub(crate) struct Names {
    udp: UdpSocket,
    tcp: TcpListener,
    site: Arc<Site>,
}

/// Binds UDP and TCP.
pub(crate) async fn bind(site: &Arc<Site>) -> Result<Names, AnyError> {
    let address = (site.options.listen, site.options.dns_port);
    Ok(Names {
        udp: UdpSocket::bind(address).await?,
        tcp: TcpListener::bind(address).await?,
        site: Arc::clone(site),
    })
}

impl Names {
    /// Answers for ever.
    pub(crate) async fn serve(self) -> Result<(), AnyError> {
        let mut packet = [0; 4096];
        loop {
            tokio::select! {
                received = self.udp.recv_from(&mut packet) => {
                    let (length, from) = received?;
                    if let Some(answer) = answer(&self.site, &packet[..length]) {
                        self.udp.send_to(&answer, from).await?;
                    }
                }
                accepted = self.tcp.accept() => {
                    let site = Arc::clone(&self.site);
                    tokio::spawn(over_tcp(site, accepted?.0));
                }
            }
        }
    }
}

async fn over_tcp(site: Arc<Site>, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut packet = vec![0; length.into()];
        stream.read_exact(&mut packet).await?;
        let Some(answer) = answer(&site, &packet) else {
            return Ok(());
        };
        stream
            .write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX))
            .await?;
        stream.write_all(&answer).await?;
    }
}

fn answer(site: &Site, packet: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(packet).ok()?;
    let question = query.queries.first()?.clone();
    let name = question
        .name()
        .to_ascii()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let mut reply = Message::new(query.id, MessageType::Response, query.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    let known = site.options.zone.get(&name);
    match known {
        Some(address) if question.query_type() == RecordType::A => {
            let address = RData::A(A(*address));
            reply.add_answer(Record::from_rdata(question.name().clone(), 1, address));
        }
        Some(_) => {}
        None => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    let said = known.map_or_else(|| "NXDOMAIN".to_owned(), ToString::to_string);
    site.journal
        .query(&name, &question.query_type().to_string(), &said);
    reply.to_vec().ok()
}

//! Reading a mailbox over IMAPS, as the person who waits for an answer does.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use mail_parser::MessageParser;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::common::PATIENCE;

/// A signed-in connection with the inbox selected.
pub(crate) struct Mailbox {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    /// The lines of the newest answer.
    pub(crate) said: Vec<String>,
}

/// A message as it lies in the mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Its bytes.
    pub(crate) raw: Vec<u8>,
}

impl Mailbox {
    /// Connects to the server on loopback and signs in.
    pub(crate) fn open(port: u16, ca_file: &Path, user: &str, password: &str) -> Self {
        Self::try_open(port, ca_file, user, password).unwrap()
    }

    /// As [`Self::open`], of a server that may not be there just now.
    pub(crate) fn try_open(
        port: u16,
        ca_file: &Path,
        user: &str,
        password: &str,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca_file).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider);
        let versions = versions.with_safe_default_protocol_versions().unwrap();
        let config = versions.with_root_certificates(roots).with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", port))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut mailbox = Self {
            stream: BufReader::new(StreamOwned::new(tls, tcp)),
            said: Vec::new(),
        };
        mailbox.line()?;
        mailbox.try_command(&format!("LOGIN {user} {password}"))?;
        Ok(mailbox)
    }

    /// Everything in the inbox, oldest first; nothing is marked as seen.
    pub(crate) fn messages(&mut self) -> Vec<Mail> {
        self.command("SELECT INBOX");
        let messages = self.command("UID FETCH 1:* (BODY.PEEK[])");
        messages.into_iter().map(|raw| Mail { raw }).collect()
    }

    /// Sends a command and returns the literals of its answer; its lines are kept in `said`.
    pub(crate) fn command(&mut self, command: &str) -> Vec<Vec<u8>> {
        self.try_command(command).unwrap()
    }

    /// As [`Self::command`], of a server that may hang up.
    pub(crate) fn try_command(&mut self, command: &str) -> io::Result<Vec<Vec<u8>>> {
        let stream = self.stream.get_mut();
        write!(stream, "a {command}\r\n")?;
        stream.flush()?;
        let mut literals = Vec::new();
        self.said.clear();
        loop {
            let line = self.line()?;
            if let Some(answer) = line.strip_prefix("a ") {
                assert!(answer.starts_with("OK"), "{command}: {answer}");
                return Ok(literals);
            }
            self.said.push(line.clone());
            if let Some(length) = literal_length(&line) {
                let mut literal = vec![0; length];
                self.stream.read_exact(&mut literal)?;
                literals.push(literal);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::other("the mail server hung up"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// Reads the `{N}` at the end of a line that announces N bytes.
fn literal_length(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    length.parse().ok()
}

impl Mail {
    /// A header's value, unfolded and decoded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let parsed = MessageParser::default().parse(&self.raw)?;
        let raw = parsed.header_raw(name)?;
        Some(raw.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The subject, decoded.
    pub(crate) fn subject(&self) -> String {
        let parsed = MessageParser::default().parse(&self.raw);
        parsed
            .as_ref()
            .and_then(|mail| mail.subject())
            .unwrap_or_default()
            .to_owned()
    }

    /// The text that a person without HTML reads.
    pub(crate) fn text(&self) -> String {
        let parsed = MessageParser::default().parse(&self.raw);
        let text = parsed.as_ref().and_then(|mail| mail.body_text(0));
        text.unwrap_or_default().into_owned()
    }

    /// Whether it answers the message of this id.
    pub(crate) fn answers(&self, id: &str) -> bool {
        self.header("In-Reply-To")
            .is_some_and(|answered| answered.contains(id))
    }
}

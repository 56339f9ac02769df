//! Who is at the other end of the socket. It decides nothing but whether that user may use it.

use std::fs;

use tokio::net::UnixStream;

/// The user at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The user's number.
    pub uid: u32,
    /// `local:<name>`, or `local:<number>` for a user without a name.
    pub identity: String,
}

/// Why a peer is turned away.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The kernel did not tell who it is.
    #[error("the user at the other end is unknown: {0}")]
    Unknown(#[from] std::io::Error),
    /// It is somebody else's user.
    #[error("only the user of the daemon and root may use its socket, not uid {0}")]
    Foreign(u32),
}

impl Peer {
    /// Finds out who is at the other end, and refuses whoever is neither our user nor root.
    ///
    /// # Errors
    /// [`PeerError`]: close the connection.
    pub fn of(stream: &UnixStream) -> Result<Self, PeerError> {
        let uid = stream.peer_cred()?.uid();
        let own = rustix::process::getuid().as_raw();
        if uid != own && uid != 0 {
            return Err(PeerError::Foreign(uid));
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = user_name(&users, uid).unwrap_or_else(|| uid.to_string());
        Ok(Self {
            uid,
            identity: format!("local:{name}"),
        })
    }
}

fn user_name(users: &str, uid: u32) -> Option<String> {
    let number = uid.to_string();
    let mut lines = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(2) == Some(&number.as_str()))?;
    line.first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number() {
        let users = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(user_name(users, 1000).as_deref(), Some("alice"));
        assert_eq!(user_name(users, 100), None);
    }
}

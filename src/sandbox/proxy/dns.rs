//! The sandbox's name server (spec row NET-09): every name resolves to the proxy, nothing is asked
//! upstream. Pure: bytes in, bytes out.

use std::net::Ipv4Addr;

use crate::sandbox::proxy::escape::escape;
use crate::sandbox::proxy::limits::DNS_QUERY_BYTES_MAX;

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
const TTL_SECONDS: u32 = 60;

/// An answered query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The response's bytes.
    pub response: Vec<u8>,
    /// The name, escaped.
    pub name: String,
    /// The record type's name or number.
    pub query_type: String,
    /// What was answered.
    pub answer: String,
}

/// Answers a query (RFC 1035, 4.1); nothing for what is no single plain question: no answer is
/// given to it at all.
pub fn answer(query: &[u8], address: Ipv4Addr) -> Option<Answered> {
    if query.len() < HEADER_BYTES || query.len() > DNS_QUERY_BYTES_MAX {
        return None;
    }
    let is_query = query[2] & 0b1111_1000 == 0;
    let one_question = query[4..6] == [0, 1];
    if !is_query || !one_question {
        return None;
    }
    let (name, name_end) = read_name(query)?;
    let question_end = name_end + 4;
    let fixed = query.get(name_end..question_end)?;
    let query_type = u16::from_be_bytes([fixed[0], fixed[1]]);
    let class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let given = query_type == TYPE_A && class == CLASS_IN;
    let mut response = Vec::with_capacity(question_end + 16);
    response.extend(&query[..2]);
    // Response, recursion available; recursion desired as asked; code 0 or 4 (not implemented).
    response.extend([0x80 | query[2] & 1, if given { 0x80 } else { 0x84 }]);
    response.extend([0, 1, 0, u8::from(given), 0, 0, 0, 0]);
    response.extend(&query[HEADER_BYTES..question_end]);
    if given {
        response.extend([0xc0, HEADER_BYTES as u8]);
        response.extend(TYPE_A.to_be_bytes());
        response.extend(CLASS_IN.to_be_bytes());
        response.extend(TTL_SECONDS.to_be_bytes());
        response.extend([0, 4]);
        response.extend(address.octets());
    }
    let answer = if given {
        address.to_string()
    } else {
        "NOTIMP".to_owned()
    };
    Some(Answered {
        response,
        name,
        query_type: type_name(query_type),
        answer,
    })
}

/// Returns the question's name, escaped, and where it ends. Compression pointers have no place in
/// a question and are refused.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || at + length - HEADER_BYTES > 254 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&escape(query.get(at..at + length)?));
        at += length;
    }
}

fn type_name(query_type: u16) -> String {
    let name = match query_type {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: Ipv4Addr = Ipv4Addr::new(10, 199, 1, 100);

    fn query(labels: &[&[u8]], query_type: u16) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            query.push(label.len() as u8);
            query.extend(*label);
        }
        query.push(0);
        query.extend(query_type.to_be_bytes());
        query.extend(CLASS_IN.to_be_bytes());
        query
    }

    #[test]
    fn every_address_query_is_answered_with_the_proxy() {
        let answered = answer(&query(&[b"secret-data", b"evil", b"test"], 1), PROXY).unwrap();
        assert_eq!(answered.answer, "10.199.1.100");
        assert_eq!(answered.name, "secret-data.evil.test");
        assert_eq!(answered.response[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(
            answered
                .response
                .ends_with(&[0, 0, 0, 60, 0, 4, 10, 199, 1, 100])
        );
    }

    #[test]
    fn every_other_type_is_not_implemented() {
        for query_type in [2, 5, 6, 10, 12, 15, 16, 28, 33, 64, 65, 255, 999] {
            let answered = answer(&query(&[b"a", b"test"], query_type), PROXY).unwrap();
            assert_eq!(answered.answer, "NOTIMP", "{query_type}");
            assert_eq!(
                answered.response[2..8],
                [0x81, 0x84, 0, 1, 0, 0],
                "{query_type}"
            );
        }
    }

    #[test]
    fn names_are_escaped() {
        let answered = answer(&query(&[b"a\nALLOWED GET http://x -> 200"], 1), PROXY).unwrap();
        assert!(!answered.name.contains('\n'));
    }

    #[test]
    fn malformed_queries_get_no_answer() {
        let whole = query(&[b"a", b"test"], 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], PROXY), None, "cut at {length}");
        }
        let mut pointer = whole.clone();
        pointer[12] = 0xc0;
        assert_eq!(answer(&pointer, PROXY), None);
        let mut response = whole.clone();
        response[2] |= 0x80;
        assert_eq!(answer(&response, PROXY), None);
        let mut two_questions = whole;
        two_questions[5] = 2;
        assert_eq!(answer(&two_questions, PROXY), None);
        let label = [b'x'; 63];
        assert_eq!(
            answer(&query(&[&label, &label, &label, &label], 1), PROXY),
            None
        );
        assert_eq!(answer(&[0; DNS_QUERY_BYTES_MAX + 1], PROXY), None);
    }
}

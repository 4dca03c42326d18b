//! A DNS server on loopback that behaves as badly as it is told to. Every name has one address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_server::proto::op::{Message, Query, ResponseCode};
use hickory_server::proto::rr::rdata::{A, NS};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{name, one_port};

/// What is done with every question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Honest,
    Silent,
    ServFail,
    Refused,
    /// "Ask over there", as a server does that does not recurse.
    Referral,
    WrongId,
    WrongQuestion,
    /// The answer is about a name that nobody asked for.
    WrongOwner,
    /// Nothing that has the form of a message.
    Noise,
    /// The right id, then nothing that has the form of a message.
    Garbage,
    /// The question itself, sent back.
    Echo,
    /// Every lie of the above that costs nothing, then the truth.
    LiesThenTruth,
    /// Does not fit; the truth by TCP.
    Truncated,
    /// Does not fit; TCP is closed at once.
    TruncatedNoTcp,
    /// Does not fit, by TCP either.
    TruncatedEverywhere,
    /// An answer of so many records, which needs TCP.
    Many(u16),
}

/// The server. Dropped, it is gone.
pub(super) struct Mannered {
    pub(super) addr: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Mannered {
    pub(super) async fn start(manner: Manner) -> Self {
        let (tcp, udp) = one_port().await;
        let addr = udp.local_addr().expect("bound");
        let manner = Arc::new(Mutex::new(manner));
        let tasks = vec![tokio::spawn(by_udp(udp, manner.clone())), tokio::spawn(by_tcp(tcp, manner.clone()))];
        Self { addr, manner, tasks }
    }

    pub(super) fn now(&self, manner: Manner) {
        *self.manner.lock().expect("no panic") = manner;
    }
}

impl Drop for Mannered {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn by_udp(socket: UdpSocket, manner: Arc<Mutex<Manner>>) {
    let mut octets = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut octets).await {
        let manner = *manner.lock().expect("no panic");
        for reply in replies(manner, &octets[..length], false) {
            socket.send_to(&reply, client).await.expect("loopback");
        }
    }
}

async fn by_tcp(listener: TcpListener, manner: Arc<Mutex<Manner>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let manner = *manner.lock().expect("no panic");
        if manner != Manner::TruncatedNoTcp {
            tokio::spawn(connection(stream, manner));
        }
    }
}

async fn connection(mut stream: TcpStream, manner: Manner) {
    while let Ok(length) = stream.read_u16().await {
        let mut octets = vec![0; length.into()];
        if stream.read_exact(&mut octets).await.is_err() {
            return;
        }
        for reply in replies(manner, &octets, true) {
            let length = u16::try_from(reply.len()).expect("a message");
            let framed = [&length.to_be_bytes()[..], &reply].concat();
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }
}

fn replies(manner: Manner, question: &[u8], tcp: bool) -> Vec<Vec<u8>> {
    let asked = Message::from_vec(question).expect("a question");
    let owner = asked.queries[0].name().clone();
    let id = asked.metadata.id;
    let reply = |code: ResponseCode, answers: Vec<Record>| {
        let mut reply = asked.clone().into_response();
        reply.edns = None;
        reply.metadata.response_code = code;
        reply.add_answers(answers);
        reply
    };
    let octets = |message: Message| message.to_vec().expect("it fits");
    let truth = || reply(ResponseCode::NoError, vec![address(&owner, 1)]);
    let truncated = || {
        let mut reply = reply(ResponseCode::NoError, vec![]);
        reply.metadata.truncation = true;
        octets(reply)
    };
    let wrong_id = || {
        let mut lie = truth();
        lie.metadata.id = id.wrapping_add(1);
        octets(lie)
    };
    let wrong_question = || {
        let mut lie = truth();
        lie.queries = vec![Query::query(name("other.example."), RecordType::A)];
        octets(lie)
    };
    let noise = vec![vec![], vec![0], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()];
    vec![match manner {
        Manner::Honest => octets(truth()),
        Manner::Silent => return vec![],
        Manner::ServFail => octets(reply(ResponseCode::ServFail, vec![])),
        Manner::Refused => octets(reply(ResponseCode::Refused, vec![])),
        Manner::Referral => {
            let mut referral = reply(ResponseCode::NoError, vec![]);
            let there = RData::NS(NS(name("ns.over.there.")));
            referral.add_authority(Record::from_rdata(name("example."), 300, there));
            octets(referral)
        }
        Manner::WrongId => wrong_id(),
        Manner::WrongQuestion => wrong_question(),
        Manner::WrongOwner => {
            octets(reply(ResponseCode::NoError, vec![address(&owner, 1), address(&name("other.example."), 66)]))
        }
        Manner::Noise => return noise,
        Manner::Garbage => [&id.to_be_bytes()[..], &[0xff; 30]].concat(),
        Manner::Echo => question.to_vec(),
        Manner::LiesThenTruth => {
            return [noise, vec![wrong_id(), wrong_question(), octets(truth())]].concat();
        }
        Manner::Truncated if tcp => octets(truth()),
        Manner::Truncated | Manner::TruncatedNoTcp | Manner::TruncatedEverywhere => truncated(),
        Manner::Many(_) if !tcp => truncated(),
        Manner::Many(count) => {
            octets(reply(ResponseCode::NoError, (0..count).map(|number| address(&owner, number)).collect()))
        }
    }]
}

fn address(owner: &Name, number: u16) -> Record {
    let [high, low] = number.to_be_bytes();
    Record::from_rdata(owner.clone(), 300, RData::A(A::new(192, 0, high, low)))
}

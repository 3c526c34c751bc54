//! A phone that enrols itself, as its core does.

use super::client::{Answer, Client, blinded};
use super::site::epoch_key;
use hyper::Method;
use rand_core::OsRng;
use shunt::model::{PhoneNumber, Timestamp};
use shunt::seal::{
    Answer as Sealed, AnswerKey, Blinding, Code, CodeSms, Confirm, EpochKey, Identity, Jid, NewAccount, Purpose,
    SealedRequest, SessionId, Start, bearer_token,
};
use shunt_kit::directory::Directory;
use shunt_kit::private::note;
use shunt_kit::smpp::Provider;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

pub(super) const NUMBER: &str = "+4917612345678";
pub(super) const DOMAIN: &str = shunt_kit::cloud::DOMAIN;

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

pub(super) struct Phone {
    pub(super) client: Client,
    pub(super) key: EpochKey,
    pub(super) identity: Identity,
    pub(super) session: SessionId,
    pub(super) number: PhoneNumber,
    /// The token of an account whose number it would prove anew.
    pub(super) renews: Option<Zeroizing<String>>,
}

/// What an enrolment gave.
pub(super) struct Enrolled {
    pub(super) account: NewAccount,
    pub(super) jid: Jid,
}

/// A confirmation on its way.
pub(super) struct Confirmation {
    pub(super) request: SealedRequest,
    pub(super) key: AnswerKey,
    blinding: Blinding,
}

impl Phone {
    pub(super) fn new(directory: &Directory, ca: &str, number: &str) -> Self {
        note(number);
        Self {
            client: Client::of(directory, ca, "nobody"),
            key: epoch_key(directory),
            identity: Identity::new(now()),
            session: SessionId::new(&mut OsRng),
            number: PhoneNumber::from_e164(number).unwrap(),
            renews: None,
        }
    }

    /// Begins anew, under another id.
    pub(super) fn anew(&mut self) {
        self.session = SessionId::new(&mut OsRng);
    }

    pub(super) fn path(&self) -> String {
        format!("/v1/enrolments/{}", self.session.to_text())
    }

    pub(super) fn request_at(&self, made: Timestamp) -> SealedRequest {
        let start = Start { number: self.number.clone(), made, renews: self.renews.clone() };
        start.seal(self.session, self.identity.key(), &self.key).unwrap()
    }

    pub(super) fn request(&self) -> SealedRequest {
        self.request_at(now())
    }

    pub(super) async fn put(&self, request: &SealedRequest) -> Answer {
        self.client.field(Method::PUT, &self.path(), "sealed", request.as_bytes()).await
    }

    pub(super) async fn start(&self) -> Answer {
        self.put(&self.request()).await
    }

    /// Starts, and reads the code that the provider got for it.
    pub(super) async fn code(&self, provider: &mut Provider) -> Code {
        let started = self.start().await;
        assert_eq!(started.status, 202, "{:?}", started.body);
        let sms = provider.sms().await.unwrap();
        assert_eq!(format!("+{}", sms.to), self.number.as_e164());
        let read = CodeSms::parse(&sms.text).unwrap();
        assert!(read.is_for(&self.session));
        read.code
    }

    pub(super) fn confirmation(&self, code: Code) -> Confirmation {
        let (blinding, blinded) = blinded(&self.number);
        let confirm = Confirm { number: self.number.clone(), code, purpose: Purpose::Enrol { blinded } };
        let (request, key) = confirm.seal(self.session, self.identity.key(), &self.key).unwrap();
        Confirmation { request, key, blinding }
    }

    pub(super) async fn post(&self, request: &SealedRequest) -> Answer {
        let path = format!("{}/confirm", self.path());
        self.client.field(Method::POST, &path, "sealed", request.as_bytes()).await
    }

    pub(super) async fn confirm(&self, code: Code) -> Answer {
        self.post(&self.confirmation(code).request).await
    }

    /// Gives a code back for a fresh proof of the account of this token.
    pub(super) async fn prove(&self, code: Code, token: &str) -> (Answer, AnswerKey) {
        let purpose = Purpose::Renew { token: token.to_owned().into() };
        let confirm = Confirm { number: self.number.clone(), code, purpose };
        let (request, key) = confirm.seal(self.session, self.identity.key(), &self.key).unwrap();
        (self.post(&request).await, key)
    }

    /// Checks an answer as the core does: certificate and transcript must hold.
    pub(super) fn believe(&self, confirmation: &Confirmation, sealed: &[u8]) -> Enrolled {
        let Ok(Sealed::Enrolled(account)) = Sealed::open(&self.session, &confirmation.key, sealed) else {
            panic!("no account in the answer")
        };
        let keys = shunt::seal::DirectoryKeys { epochs: vec![self.key] };
        account.certificate.verify(&keys, now()).unwrap();
        assert!(account.certificate.identity == self.identity.key());
        let transcripts: Vec<_> = account.evaluations.iter().map(|it| confirmation.blinding.transcript(it)).collect();
        let pseudonym = self.key.pseudonym(&self.number, &transcripts, DOMAIN).unwrap();
        note(&account.secret);
        let jid = account.certificate.jid.clone();
        assert_eq!(pseudonym, *jid.pseudonym(), "the account is this number's");
        Enrolled { account, jid }
    }

    /// The whole of it.
    pub(super) async fn enrol(&self, provider: &mut Provider) -> Enrolled {
        let confirmation = self.confirmation(self.code(provider).await);
        let answer = self.post(&confirmation.request).await;
        self.believe(&confirmation, &answer.field("sealed"))
    }

    /// The client with the account's token.
    pub(super) fn device(&self, enrolled: &Enrolled) -> Client {
        self.client.with_token(&bearer_token(&enrolled.account.secret))
    }
}

/// A wrong code that is not `code`.
pub(super) fn other(code: Code) -> Code {
    let wrong = Code::from_typed("00000000").unwrap();
    if wrong == code { Code::from_typed("00000001").unwrap() } else { wrong }
}

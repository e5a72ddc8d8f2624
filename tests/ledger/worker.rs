//! A person with an app's back end and a machine: does one thing after the other, and holds what it was told against
//! what the servers say later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::SET_COOKIE;

use super::book::{Book, Line};
use super::lines::Lines;
use super::offline;
use crate::harness::dice::Dice;
use crate::harness::wire::{get, post};
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, App};

/// Codes live for a minute: no more of them than are soon redeemed.
const MOST_CODES: usize = 6;
const MOST_GRANTS: usize = 8;
/// Of what ended long ago, so many are looked at in each comparison.
const OLD_ENDINGS: usize = 10;

type Cookies = BTreeMap<String, String>;

pub(super) struct Apps {
    pub(super) issuer: String,
    pub(super) app: App,
    pub(super) machine: App,
    /// What the machine acts at.
    pub(super) api: String,
}

pub(super) struct Person {
    pub(super) email: String,
    /// Of the browser that signed in last.
    pub(super) cookies: Cookies,
}

pub(super) struct Worker {
    apps: Apps,
    person: Person,
    lines: Lines,
    dice: Dice,
    pub(super) book: Book,
    /// Browsers that signed in since the last comparison.
    signed_in: Vec<Cookies>,
    /// Codes that were never sent back.
    codes: Vec<String>,
    /// Codes that were sent back, without an answer.
    open: Vec<String>,
    grants: Vec<Grant>,
    own_tokens: Vec<String>,
    /// What must never work again; the first of them were seen dead after the death before.
    ended: Vec<Ended>,
    seen_ended: usize,
}

/// What came of a code.
struct Grant {
    code: String,
    /// Every refresh token that was read, the newest last.
    refresh_tokens: Vec<String>,
    /// None: it was given back.
    access_token: Option<String>,
}

/// Something that works no more.
enum Ended {
    Code(String),
    RefreshToken(String),
    AccessToken(String),
    OwnToken(String),
}

impl Worker {
    pub(super) fn new(apps: Apps, person: Person, lines: Lines, dice: Dice) -> Self {
        Self {
            apps,
            person,
            lines,
            dice,
            book: Book::default(),
            signed_in: Vec::new(),
            codes: Vec::new(),
            open: Vec::new(),
            grants: Vec::new(),
            own_tokens: Vec::new(),
            ended: Vec::new(),
            seen_ended: 0,
        }
    }

    pub(super) fn unanswered(&self) -> usize {
        self.lines.unanswered()
    }

    pub(super) async fn work_until(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            // None: it was not told what became of it, which the next comparison finds out.
            let _ = match self.dice.below(32) {
                0 => self.sign_in().await,
                1..=7 => self.authorize().await,
                8..=11 => self.redeem().await,
                12 => self.redeem_twice().await,
                13..=18 => self.refresh().await,
                19..=20 => self.refresh_twice().await,
                21 => self.replay().await,
                22..=23 => self.revoke().await,
                24 => self.give_back().await,
                25..=28 => self.act().await,
                29 => self.give_own_back().await,
                _ => self.look_at_an_ending().await,
            };
        }
    }

    /// Holds everything against the servers, which all live.
    pub(super) async fn compare(&mut self) {
        for mut cookies in std::mem::take(&mut self.signed_in) {
            let answer = self.told(&self.silently(), &mut cookies).await;
            assert!(answer.param("code").is_some(), "a sign-in was lost: {answer:?}");
        }
        for one in 0..self.grants.len() {
            if let Some(token) = &self.grants[one].access_token {
                let answer = self.lines.tell(&userinfo(token)).await;
                assert_eq!(answer.status, 200, "an access token was lost: {}", answer.body);
            }
            self.refresh_told(one).await;
        }
        for token in &self.own_tokens {
            let answer = self.lines.tell(&self.apps.machine.asking_about(token)).await;
            assert_eq!(answer.json()["active"], true, "{}", answer.body);
        }
        for code in std::mem::take(&mut self.codes) {
            self.redeem_one(code).await;
        }
        for code in std::mem::take(&mut self.open) {
            self.settle(code).await;
        }
        let old = (0..OLD_ENDINGS.min(self.seen_ended)).map(|_| self.dice.below(self.seen_ended));
        let old: Vec<usize> = old.collect();
        for one in old.into_iter().chain(self.seen_ended..self.ended.len()) {
            self.look_at(one).await;
        }
        self.seen_ended = self.ended.len();
    }

    /// The whole book, and everything that ever ended.
    pub(super) async fn audit(&mut self) {
        self.book.check();
        for one in 0..self.ended.len() {
            self.look_at(one).await;
        }
    }

    async fn sign_in(&mut self) -> Option<()> {
        let mut cookies = Cookies::new();
        let answer = self.visit(&offline(&self.apps.app, &[]), &mut cookies).await?;
        let page = self.visit(&self.path(&answer), &mut cookies).await?;
        let form = page.form();
        let form = form
            .with("username", &self.person.email)
            .with("password", PASSWORD);
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let headers = [("origin", self.apps.issuer.as_str()), ("cookie", &line(&cookies))];
        let answer = self.lines.ask(&post("/login", &headers, &fields)).await?;
        assert_eq!(answer.status, 303, "{}", answer.body);
        keep(&answer, &mut cookies);
        self.person.cookies = cookies.clone();
        self.signed_in.push(cookies);
        self.book.write(Line::SignedIn);
        Some(())
    }

    async fn authorize(&mut self) -> Option<()> {
        if self.codes.len() >= MOST_CODES {
            return self.redeem().await;
        }
        let mut cookies = std::mem::take(&mut self.person.cookies);
        let answer = self.visit(&offline(&self.apps.app, &[]), &mut cookies).await;
        self.person.cookies = cookies;
        let answer = answer?;
        let code = answer.param("code");
        self.codes
            .push(code.unwrap_or_else(|| panic!("no code: {answer:?}")));
        Some(())
    }

    async fn redeem(&mut self) -> Option<()> {
        if self.grants.len() >= MOST_GRANTS {
            return self.revoke().await;
        }
        let code = self.codes.pop()?;
        self.redeem_one(code).await;
        Some(())
    }

    async fn redeem_one(&mut self, code: String) {
        match self.lines.ask(&self.apps.app.redemption(&code)).await {
            Some(answer) => {
                assert_eq!(answer.status, 200, "a fresh code: {}", answer.body);
                self.granted(code, &answer);
            }
            None => self.open.push(code),
        }
    }

    /// At both replicas in the same moment: one is served, and the other ends what came of it.
    async fn redeem_twice(&mut self) -> Option<()> {
        let code = self.codes.pop()?;
        let answers = self.lines.ask_both(&self.apps.app.redemption(&code)).await;
        let (served, refused): (Vec<_>, Vec<_>) = answers.iter().flatten().partition(|it| it.status == 200);
        assert!(served.len() < 2, "a code was used twice");
        refused.iter().for_each(|answer| assert_refused(answer));
        for answer in served {
            self.granted(code.clone(), answer);
        }
        for _ in refused {
            self.book.write(Line::Refused { code: code.clone() });
        }
        self.settle(code).await;
        Some(())
    }

    /// A code of which nobody knows how often it arrived: once more, and then whatever came of it has ended.
    async fn settle(&mut self, code: String) {
        let request = self.apps.app.redemption(&code);
        let answer = self.lines.tell(&request).await;
        match answer.status.as_u16() {
            200 => self.granted(code.clone(), &answer),
            _ => assert_refused(&answer),
        }
        assert_refused(&self.lines.tell(&request).await);
        self.book.write(Line::Refused { code: code.clone() });
        if let Some(one) = self.grants.iter().position(|grant| grant.code == code) {
            self.over(one);
        } else {
            self.ended.push(Ended::Code(code));
        }
    }

    fn granted(&mut self, code: String, answer: &Answer) {
        let (refresh_token, access_token) = (member(answer, "refresh_token"), member(answer, "access_token"));
        self.book.write(Line::Redeemed {
            code: code.clone(),
            refresh_token: refresh_token.clone(),
        });
        self.grants.push(Grant {
            code,
            refresh_tokens: vec![refresh_token],
            access_token: Some(access_token),
        });
    }

    async fn refresh(&mut self) -> Option<()> {
        let one = self.any_grant()?;
        let answer = self.lines.ask(&self.refreshing(one)).await?;
        self.refreshed(one, &[answer]);
        Some(())
    }

    async fn refresh_told(&mut self, one: usize) {
        let answer = self.lines.tell(&self.refreshing(one)).await;
        self.refreshed(one, &[answer]);
    }

    /// At both replicas in the same moment: both say the same successor.
    async fn refresh_twice(&mut self) -> Option<()> {
        let one = self.any_grant()?;
        let request = self.refreshing(one);
        let answers = self.lines.ask_both(&request).await;
        let answers: Vec<Answer> = answers.into_iter().flatten().collect();
        self.refreshed(one, &answers);
        Some(())
    }

    fn refreshed(&mut self, one: usize, answers: &[Answer]) {
        let grant = &mut self.grants[one];
        let presented = grant.refresh_tokens.last().expect("at least one").clone();
        for answer in answers {
            assert_eq!(
                answer.status, 200,
                "the newest token that was read: {}",
                answer.body
            );
            let successor = member(answer, "refresh_token");
            self.book.write(Line::Refreshed {
                presented: presented.clone(),
                successor: successor.clone(),
            });
            if grant.refresh_tokens.last() != Some(&successor) {
                grant.refresh_tokens.push(successor);
            }
            grant.access_token = Some(member(answer, "access_token"));
        }
    }

    /// A token whose successor was used proves that two parties hold tokens, and ends all.
    async fn replay(&mut self) -> Option<()> {
        let one = self
            .grants
            .iter()
            .position(|grant| grant.refresh_tokens.len() > 2)?;
        let known = &self.grants[one].refresh_tokens;
        let old = &known[self.dice.below(known.len() - 2)];
        let answer = self.lines.tell(&self.apps.app.refreshing(old)).await;
        assert_refused(&answer);
        self.over(one);
        Some(())
    }

    async fn revoke(&mut self) -> Option<()> {
        let one = self.any_grant()?;
        let newest = self.grants[one].refresh_tokens.last().expect("at least one");
        let answer = self.lines.tell(&self.apps.app.returning(newest)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.over(one);
        Some(())
    }

    /// Everything of this grant is over, as was acknowledged.
    fn over(&mut self, one: usize) {
        let grant = self.grants.swap_remove(one);
        let newest = grant.refresh_tokens.last().expect("at least one").clone();
        self.book.write(Line::Ended {
            refresh_token: newest.clone(),
        });
        self.ended.push(Ended::Code(grant.code));
        self.ended.push(Ended::RefreshToken(newest));
        self.ended.extend(grant.access_token.map(Ended::AccessToken));
    }

    /// The access token alone.
    async fn give_back(&mut self) -> Option<()> {
        let one = self.any_grant()?;
        let token = self.grants[one].access_token.take()?;
        let answer = self.lines.tell(&self.apps.app.returning(&token)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.book.write(Line::Returned);
        self.ended.push(Ended::AccessToken(token));
        Some(())
    }

    async fn act(&mut self) -> Option<()> {
        let answer = self.lines.ask(&self.apps.machine.acting(&self.apps.api)).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.book.write(Line::Acted);
        self.own_tokens.push(member(&answer, "access_token"));
        if self.own_tokens.len() > MOST_GRANTS {
            return self.give_own_back().await;
        }
        Some(())
    }

    async fn give_own_back(&mut self) -> Option<()> {
        let token = self.own_tokens.pop()?;
        let answer = self.lines.tell(&self.apps.machine.returning(&token)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.book.write(Line::Returned);
        self.ended.push(Ended::OwnToken(token));
        Some(())
    }

    async fn look_at_an_ending(&mut self) -> Option<()> {
        let count = self.ended.len();
        let one = (count > 0).then(|| self.dice.below(count))?;
        self.look_at(one).await;
        Some(())
    }

    async fn look_at(&mut self, one: usize) {
        let (app, machine) = (&self.apps.app, &self.apps.machine);
        let answer = match &self.ended[one] {
            Ended::Code(code) => self.lines.tell(&app.redemption(code)).await,
            Ended::RefreshToken(token) => self.lines.tell(&app.refreshing(token)).await,
            Ended::AccessToken(token) => {
                let answer = self.lines.tell(&userinfo(token)).await;
                assert_eq!(answer.status, 401, "it came back: {}", answer.body);
                return;
            }
            Ended::OwnToken(token) => {
                let answer = self.lines.tell(&machine.asking_about(token)).await;
                assert_eq!(answer.json()["active"], false, "it came back");
                return;
            }
        };
        assert_refused(&answer);
    }

    fn any_grant(&mut self) -> Option<usize> {
        let count = self.grants.len();
        (count > 0).then(|| self.dice.below(count))
    }

    fn refreshing(&self, one: usize) -> Vec<u8> {
        let newest = self.grants[one].refresh_tokens.last();
        self.apps.app.refreshing(newest.expect("at least one"))
    }

    fn silently(&self) -> String {
        offline(&self.apps.app, &[("prompt", "none")])
    }

    async fn visit(&mut self, target: &str, cookies: &mut Cookies) -> Option<Answer> {
        let answer = self
            .lines
            .ask(&get(target, &[("cookie", &line(cookies))]))
            .await?;
        keep(&answer, cookies);
        Some(answer)
    }

    async fn told(&mut self, target: &str, cookies: &mut Cookies) -> Answer {
        loop {
            if let Some(answer) = self.visit(target, cookies).await {
                return answer;
            }
        }
    }

    /// Where a redirect of ours leads.
    fn path(&self, answer: &Answer) -> String {
        let location = answer
            .location()
            .unwrap_or_else(|| panic!("no redirect: {answer:?}"));
        let own = location.strip_prefix(&self.apps.issuer);
        own.unwrap_or(&location).to_owned()
    }
}

fn userinfo(access_token: &str) -> Vec<u8> {
    get(
        "/userinfo",
        &[("authorization", &format!("Bearer {access_token}"))],
    )
}

fn keep(answer: &Answer, cookies: &mut Cookies) {
    for cookie in answer.headers.get_all(SET_COOKIE) {
        let text = cookie.to_str().expect("a readable cookie");
        let pair = text.split(';').next().and_then(|pair| pair.split_once('='));
        let (name, value) = pair.expect("name=value");
        cookies.insert(name.to_owned(), value.to_owned());
    }
}

fn line(cookies: &Cookies) -> String {
    let pairs = cookies.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

fn member(answer: &Answer, name: &str) -> String {
    let value = answer.json()[name].as_str().map(str::to_owned);
    value.unwrap_or_else(|| panic!("no {name}: {}", answer.body))
}

fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"], "invalid_grant");
}

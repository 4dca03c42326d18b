//! The site of the demonstration: the real proxy before the embedded backend, on free ports of this machine.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::backend::{Backend, Office};
use super::maildir::Maildir;
use super::names;
use crate::backend::settings::Address;
use crate::cli::Failed;
use crate::config;
use crate::net::listener::Inherited;
use crate::server::proxy::Proxy;
use crate::server::reload::Refused;
use crate::server::{BackendsReady, Ended, Loader, Order, Server};
use crate::telemetry::metrics;

const CONFIG: &str = include_str!("../../../config/demo.toml");
/// The list that is asked although it is shipped switched off: here nobody's terms are touched.
const LIST: &str = "zen";
/// How long the proxy may take to see that the backend is there.
const UP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// What the backend does during a scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Weather {
    /// Its work.
    #[default]
    Fair,
    /// It breaks off in the middle of the next message.
    DiesMidMessage,
    /// It is not there.
    Down,
}

/// Everything that runs.
pub(super) struct Site {
    /// For the cast: a PROXY header is demanded.
    pub(super) cast: SocketAddr,
    /// For people.
    pub(super) plain: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) registry: Registry,
    pub(super) office: Arc<Office>,
    pub(super) backend_address: SocketAddr,
    backend: Option<Backend>,
    ready: BackendsReady,
    orders: mpsc::Sender<Order>,
    server: JoinHandle<Ended>,
}

impl Site {
    /// Starts backend and proxy; the Maildir is made in `directory`. Call it within a runtime.
    pub(super) async fn open(directory: &Path) -> Result<Self, Failed> {
        let office = Office::new(Maildir::create(directory.join("Maildir"))?);
        let backend = Backend::start(SocketAddr::from(([127, 0, 0, 1], 0)), office.clone())?;
        let mut loaded = config::parse_text(CONFIG)?;
        for member in &mut loaded.config.backend.members {
            member.address = Address::Socket(backend.address);
        }
        loaded.config.spool.directory = directory.to_owned();
        let lists = &mut loaded.config.rules.lists.0.dnsbl;
        lists.iter_mut().filter(|list| list.name == LIST).for_each(|list| list.enabled = true);

        let registry = metrics::registry()?;
        let plan = Proxy::plan(&loaded);
        let proxy = Proxy::new(loaded, Some(Arc::new(names::answers())), &registry)?;
        let ready = proxy.backends_ready();
        let loader: Loader = Arc::new(|_| Err(Refused::because("the demonstration has no file to read again")));
        let server = Server::bind(plan, Inherited::default(), registry.clone(), proxy.clone(), loader, ready.clone())?;
        let server = server.remembering(proxy.store()).greylisting(proxy.greylist());
        let server = server.reputing(proxy.reputation()).learning(proxy.bulk()).classifying(proxy.classifier());
        let addresses = server.addresses();
        let &[cast, plain] = addresses.as_slice() else {
            return Err(Failed("config/demo.toml must have two listeners".to_owned()));
        };
        let (admin, backend_address) = (server.admin_address(), backend.address);
        let (orders, received) = mpsc::channel(1);
        let server = tokio::spawn(server.run(received));
        let backend = Some(backend);
        let site = Self { cast, plain, admin, registry, office, backend_address, backend, ready, orders, server };
        site.wait_for_backend().await?;
        Ok(site)
    }

    /// Lets the backend behave as `weather` says.
    pub(super) async fn set(&mut self, weather: Weather) -> Result<(), Failed> {
        if weather == Weather::Down {
            if let Some(backend) = self.backend.take() {
                backend.stop().await;
            }
            return Ok(());
        }
        if self.backend.is_none() {
            self.backend = Some(Backend::start(self.backend_address, self.office.clone())?);
        }
        self.wait_for_backend().await?;
        if weather == Weather::DiesMidMessage {
            self.office.die_in_next_message();
        }
        Ok(())
    }

    async fn wait_for_backend(&self) -> Result<(), Failed> {
        let by = Instant::now() + UP_LIMIT;
        while (self.ready)() == 0 {
            if Instant::now() > by {
                return Err(Failed("the proxy does not find its backend".to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Stops everything in order.
    pub(super) async fn close(self) -> Result<(), Failed> {
        // A server that has ended already hears nothing, and need not.
        let _ = self.orders.send(Order::Stop).await;
        let ended = self.server.await?;
        if let Some(backend) = self.backend {
            backend.stop().await;
        }
        match ended.cut {
            0 => Ok(()),
            cut => Err(Failed(format!("{cut} sessions did not end by themselves"))),
        }
    }
}

//! Signals of the operating system as orders to the server.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Order;

/// SIGHUP: reload. SIGTERM, SIGINT: stop. Call it once, early: until then SIGHUP ends the process.
///
/// # Errors
/// If the system refuses a handler.
pub fn orders() -> io::Result<mpsc::Receiver<Order>> {
    let (orders, receiver) = mpsc::channel(4);
    let wanted = [
        (SignalKind::hangup(), Order::Reload),
        (SignalKind::terminate(), Order::Stop),
        (SignalKind::interrupt(), Order::Stop),
    ];
    for (kind, order) in wanted {
        let (mut arrivals, orders) = (signal(kind)?, orders.clone());
        tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                if orders.send(order).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

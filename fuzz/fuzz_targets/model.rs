//! A message: it is read within bounds and without a panic (this ends at those that the reading catches, too);
//! the same each time; what the model names lies in the message.

#![no_main]

use gatepost::message::{Message, Model};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let message = Message::new(octets.to_vec(), octets.len() as u64);
    let model = Model::of(&message);
    assert!(model.fields.iter().all(|field| octets.get(field.raw.clone()).is_some()));
    assert!(model.parts.len() <= 200 && model.parts.iter().all(|part| part.parent < model.parts.len()));
    assert!(model.texts.iter().all(|text| text.part < model.parts.len()));
    assert!(model.links.len() <= 500 && model.links.iter().all(|link| link.target.len() <= 2048));
    assert!(model.attachments.len() <= 64 && model.attachments.iter().all(|file| file.part < model.parts.len()));
    let mut oddities: Vec<_> = model.oddities.iter().map(|(oddity, _)| *oddity).collect();
    oddities.sort_unstable();
    oddities.dedup();
    assert_eq!(oddities.len(), model.oddities.len());
    assert_eq!(Model::of(&message), model);
});

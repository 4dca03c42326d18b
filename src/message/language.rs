//! Which language a text is in, by its letters and how they follow each other.

use whatlang::Lang;

/// Octets of a text that are looked at.
const MAX_OCTETS: usize = 2048;
/// Fewer letters than that are in any language.
const FEW: usize = 24;

/// Languages by their codes (ISO 639-1, of three letters where that has none).
const CODES: [(&str, Lang); 70] = [
    ("af", Lang::Afr),
    ("ak", Lang::Aka),
    ("am", Lang::Amh),
    ("ar", Lang::Ara),
    ("az", Lang::Aze),
    ("be", Lang::Bel),
    ("bg", Lang::Bul),
    ("bn", Lang::Ben),
    ("ca", Lang::Cat),
    ("cs", Lang::Ces),
    ("cy", Lang::Cym),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("el", Lang::Ell),
    ("en", Lang::Eng),
    ("eo", Lang::Epo),
    ("es", Lang::Spa),
    ("et", Lang::Est),
    ("fa", Lang::Pes),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("gu", Lang::Guj),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hr", Lang::Hrv),
    ("hu", Lang::Hun),
    ("hy", Lang::Hye),
    ("id", Lang::Ind),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("jv", Lang::Jav),
    ("ka", Lang::Kat),
    ("km", Lang::Khm),
    ("kn", Lang::Kan),
    ("ko", Lang::Kor),
    ("la", Lang::Lat),
    ("lt", Lang::Lit),
    ("lv", Lang::Lav),
    ("mk", Lang::Mkd),
    ("ml", Lang::Mal),
    ("mr", Lang::Mar),
    ("my", Lang::Mya),
    ("nb", Lang::Nob),
    ("ne", Lang::Nep),
    ("nl", Lang::Nld),
    ("or", Lang::Ori),
    ("pa", Lang::Pan),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ro", Lang::Ron),
    ("ru", Lang::Rus),
    ("si", Lang::Sin),
    ("sk", Lang::Slk),
    ("sl", Lang::Slv),
    ("sn", Lang::Sna),
    ("sr", Lang::Srp),
    ("sv", Lang::Swe),
    ("ta", Lang::Tam),
    ("te", Lang::Tel),
    ("th", Lang::Tha),
    ("tk", Lang::Tuk),
    ("tl", Lang::Tgl),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("ur", Lang::Urd),
    ("uz", Lang::Uzb),
    ("vi", Lang::Vie),
    ("yi", Lang::Yid),
    ("zh", Lang::Cmn),
    ("zu", Lang::Zul),
];

/// Every language that can be told.
pub fn codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(code, _)| *code)
}

/// The language of the beginning of a text, by its code; `None` if it says too little, or could be in several.
pub fn of(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    let beginning = text.get(..text.floor_char_boundary(MAX_OCTETS)).unwrap_or(text);
    beginning.chars().filter(|letter| letter.is_alphabetic()).nth(FEW - 1)?;
    let told = whatlang::detect(beginning).filter(whatlang::Info::is_reliable)?.lang();
    CODES.iter().find(|(_, language)| *language == told).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (text, expected) in [
            ("Hello Ann, could you please send me the minutes of the meeting that we had on Monday?", Some("en")),
            ("Liebe Anna, könntest du mir bitte das Protokoll der Sitzung vom letzten Montag schicken?", Some("de")),
            (
                "Chère Anne, pourrais-tu m'envoyer le compte rendu de la réunion de lundi dernier, s'il te plaît ?",
                Some("fr"),
            ),
            ("Αγαπητή Άννα, στείλε μου σε παρακαλώ τα πρακτικά της συνάντησης της Δευτέρας.", Some("el")),
            ("安娜，请把上周一会议的记录发给我，谢谢你，我们周五之前需要它，祝好", Some("zh")),
            ("Hello", None),
            ("12345 67890 12345 67890 12345 67890", None),
            ("", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_beginning_counts() {
        let english = "This is quite an ordinary English sentence, and here it is said again. ".repeat(40);
        let german = "Das hier ist ein ganz gewöhnlicher deutscher Satz, der immer wieder dasteht. ".repeat(400);
        assert_eq!(of(&format!("{english}{german}")), Some("en"));
    }

    #[test]
    fn every_language_has_one_code() {
        let known = Lang::all().iter().filter(|one| CODES.iter().filter(|(_, lang)| lang == *one).count() == 1);
        assert_eq!((known.count(), Lang::all().len()), (CODES.len(), CODES.len()));
        assert!(codes().is_sorted());
    }
}

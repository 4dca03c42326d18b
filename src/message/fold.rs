//! One letter for all that look like it.

use std::sync::LazyLock;

/// Latin letters, and the lower-case letters that pass for them or are them with an accent. The upper-case
/// letters of Cyrillic and Greek decide: `Н` passes for `H`, so `н` is an `h`.
const LOOK_ALIKES: [(char, &str); 26] = [
    ('a', "àáâãäåæāăąǎǟǡǣǻȁȃȧɐɑæаӑӓӕάαᴀᴁạảấầẩẫậắằẳẵặḁ"),
    ('b', "ɓƀƃвъьβϐʙᴃḃḅḇ"),
    ('c', "çćĉċčƈȼɕсҫєϲᴄḉ"),
    ('d', "ďđɖɗðԁժᴅᴆḋḍḏḑḓ"),
    ('e', "èéêëēĕėęěȅȇȩɇəеѐёӗҽεέϵᴇḕḗḙḛḝẹẻẽếềểễệ"),
    ('f', "ƒſḟſքϝ"),
    ('g', "ĝğġģǥǧǵɠɡɢԍցᶃḡ"),
    ('h', "ĥħȟɦһнңҥհʜḣḥḧḩḫẖ"),
    ('i', "ìíîïĩīĭįıǐȉȋɨіїӏιίϊΐɪᴉḭḯỉịĺļľŀłƚɫɭʟǀ"),
    ('j', "ĵǰɉјϳյᴊ"),
    ('k', "ķĸƙǩкќқҝҟҡκϰᴋḱḳḵ"),
    ('m', "ɱмӎμᴍḿṁṃ"),
    ('n', "ñńņňŉŋǹɲиӣйπпηήոռɴṅṇṉṋ"),
    ('o', "òóôõöøōŏőœơǒǫǭǿȍȏȫȭȯȱɔоӧөѳοόσςօᴏṍṏṑṓọỏốồổỗộớờởỡợ"),
    ('p', "ƥрҏρϼᴘṕṗ"),
    ('q', "ɋԛզգʠ"),
    ('r', "ŕŗřȑȓɍɼгґѓʀᴦṙṛṝṟ"),
    ('s', "śŝşšßșʂѕꜱṡṣṥṧṩ"),
    ('t', "ţťŧƫțтҭτᴛṫṭṯṱẗ"),
    ('u', "ùúûüũūŭůűųưǔǖǘǚǜȕȗʉцսυύϋᴜṳṵṷṹṻụủứừửữự"),
    ('v', "ʋѵνѷᴠṽṿ"),
    ('w', "ŵшщԝωώѡᴡẁẃẅẇẉẘ"),
    ('x', "хҳχẋẍжӿ"),
    ('y', "ýÿŷƴȳɏуўүұӯӱӳγʏẏẙỳỵỷỹ"),
    ('z', "źżžƶȥʐζᴢẑẓẕ"),
    ('3', "зҙэʒӟӡɜ"),
];

/// Letters of Cherokee, Coptic and Lisu, which look like capitals of Latin.
const LOOK_ALIKES_FAR: [(char, &str); 25] = [
    ('a', "ᎪⲀⲁꓮ"),
    ('b', "ᏴⲂⲃꓐ"),
    ('c', "ᏟⲤⲥꓚ"),
    ('d', "ᎠᏧꓓꓒ"),
    ('e', "ᎬⲈⲉꓰ"),
    ('f', "ꓝ"),
    ('g', "ᏀᏳꓖ"),
    ('h', "ᎻⲎⲏꓧ"),
    ('i', "ⲒⲓᎥꓲ"),
    ('j', "Ꭻꓙ"),
    ('k', "ᏦⲔⲕꓗ"),
    ('l', "Ꮮꓡ"),
    ('m', "ᎷⲘⲙꓟ"),
    ('n', "Ⲛⲛꓠ"),
    ('o', "Ⲟⲟꓳ"),
    ('p', "ᏢⲢⲣꓑ"),
    ('r', "ᏒᎡꓣ"),
    ('s', "ᏚᏕꓢꜱ"),
    ('t', "ᎢⲦⲧꓔ"),
    ('u', "ꓴ"),
    ('v', "Ꮩꓦ"),
    ('w', "ᎳᏔꓪ"),
    ('x', "Ⲭⲭꓫ"),
    ('y', "ᎩⲨⲩꓬ"),
    ('z', "ᏃⲌⲍꓜ"),
];
/// The first of the small letters of Cherokee, and the capital that it is the small one of.
const CHEROKEE: (u32, u32) = (0xab70, 0x13a0);

/// Characters up to here are looked up.
const TABLED: usize = 0x2000;
/// Stands in the table for what nobody sees.
const UNSEEN: char = '\0';

static TABLE: LazyLock<Vec<char>> = LazyLock::new(|| {
    let mut table: Vec<char> = (0..TABLED as u32)
        .map(|code| char::from_u32(code).unwrap_or(UNSEEN))
        .map(|character| if is_unseen(character) { UNSEEN } else { lower(character) })
        .collect();
    for (letter, look_alikes) in LOOK_ALIKES.into_iter().chain(LOOK_ALIKES_FAR) {
        for look_alike in look_alikes.chars() {
            if let Some(entry) = table.get_mut(look_alike as usize) {
                *entry = letter;
            }
        }
    }
    for blank in ['\u{b}', '\u{85}', '\u{a0}', '\u{1680}'] {
        table[blank as usize] = ' ';
    }
    // Now every upper-case letter goes where its lower-case letter went.
    (0..TABLED).map(|code| table.get(table[code] as usize).copied().unwrap_or(table[code])).collect()
});

/// The look-alikes beyond that, in their order.
static FAR: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let all = LOOK_ALIKES_FAR.iter().flat_map(|(letter, alike)| alike.chars().map(|one| (one, *letter)));
    let mut far: Vec<(char, char)> = all.filter(|(one, _)| *one as usize >= TABLED).collect();
    far.sort_unstable();
    far
});

/// The letter for which a character stands, in lower case; `None` for what nobody sees.
pub fn fold(character: char) -> Option<char> {
    if character.is_ascii() && character != '\u{b}' {
        return Some(character.to_ascii_lowercase());
    }
    match TABLE.get(character as usize) {
        Some(&UNSEEN) => None,
        Some(folded) => Some(*folded),
        None if is_unseen(character) => None,
        None => Some(far(character)),
    }
}

/// Characters beyond the table: letters in other dress.
fn far(character: char) -> char {
    let code = character as u32;
    let letter = |first: u32| char::from(b'a' + ((code - first) % 26) as u8);
    match code {
        // Blanks of all widths.
        0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => ' ',
        // Fullwidth forms.
        0xff01..=0xff5e => char::from((code - 0xff01) as u8 + b'!').to_ascii_lowercase(),
        // In parentheses, in circles, in squares; as regional indicators.
        0x249c..=0x24b5 => letter(0x249c),
        0x24b6..=0x24e9 => letter(0x24b6),
        0x1f110..=0x1f129 => letter(0x1f110),
        0x1f130..=0x1f149 => letter(0x1f130),
        0x1f150..=0x1f169 => letter(0x1f150),
        0x1f170..=0x1f189 => letter(0x1f170),
        0x1f1e6..=0x1f1ff => letter(0x1f1e6),
        // Mathematical letters: alphabets of 52, one behind the other; then digits.
        0x1d400..=0x1d6a3 => letter(0x1d400),
        0x1d7ce..=0x1d7ff => char::from(b'0' + ((code - 0x1d7ce) % 10) as u8),
        0xab70..=0xabbf => {
            let capital = (code - CHEROKEE.0 + CHEROKEE.1) as usize;
            TABLE.get(capital).copied().filter(char::is_ascii).unwrap_or(character)
        }
        0x2c80..=0x2cff | 0xa4d0..=0xa4ff | 0xa731 => match FAR.binary_search_by_key(&character, |(one, _)| *one) {
            Ok(at) => FAR.get(at).map_or(character, |(_, letter)| *letter),
            Err(_) => lower(character),
        },
        _ => lower(character),
    }
}

fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// What nobody sees: characters without width, marks above and below letters, a blank of Braille.
fn is_unseen(character: char) -> bool {
    is_invisible(character) || is_mark(character) || character == '\u{2800}'
}

/// Characters without width, that join, part, turn round or vary others (of Unicode: Default_Ignorable_Code_Point, and
/// marks of annotations), and control characters that are no white space.
pub(in crate::message) fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || (character.is_control() && !character.is_whitespace())
}

/// What is written above, below and through the letter before it.
pub(in crate::message) fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'
        | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

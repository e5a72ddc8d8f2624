//! From bytes of a stranger to a picture of ours: C054.
//!
//! What a file is, its own bytes say. It is decoded within bounds, made as small as it is shown, and written anew from
//! its points alone: whatever else was in the file (a script, an archive, where a photograph was taken) stays behind.
//! SVG is a document that can do things, and is refused.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// Longest side of what is kept, in pixels: that of the page on the finest screens.
pub(crate) const SIDE: u32 = 144;
/// Longest side of what is looked at.
const MAX_SIDE: u32 = 2048;
/// Bytes that decoding may take.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;

/// Why there is no picture. For our log only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is no PNG, JPEG or WebP")]
    Kind,
    #[error("it cannot be decoded, or is larger than 2048 pixels")]
    Broken,
}

/// The picture as PNG, at most [`SIDE`] wide and high.
pub(crate) fn redrawn(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        Ok(_) | Err(_) => return Err(Fault::Kind),
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let picture = reader.decode().map_err(|_| Fault::Broken)?;
    let picture = match picture.width().max(picture.height()) > SIDE {
        true => picture.thumbnail(SIDE, SIDE),
        false => picture,
    };
    let mut png = Cursor::new(Vec::new());
    let written = picture.into_rgba8().write_to(&mut png, ImageFormat::Png);
    written.map_err(|_| Fault::Broken)?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    fn drawn(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let image = RgbaImage::from_fn(width, height, |x, _| Rgba([200, (x % 256) as u8, 0, 255]));
        let image = image::DynamicImage::from(image);
        let image = match format {
            ImageFormat::Jpeg => image.into_rgb8().into(),
            _ => image,
        };
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn size(png: &[u8]) -> (u32, u32) {
        let image = image::load_from_memory_with_format(png, ImageFormat::Png).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn c054_a_picture_is_made_anew_and_as_small_as_it_is_shown() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            for (given, kept) in [
                ((64, 64), (64, 64)),
                ((512, 256), (144, 72)),
                ((1, 1), (1, 1)),
                ((2048, 16), (144, 1)),
            ] {
                let redrawn = redrawn(&drawn(given.0, given.1, format)).unwrap();
                assert_eq!(size(&redrawn), kept, "{format:?} {given:?}");
            }
        }
    }

    #[test]
    fn c054_what_hides_behind_a_picture_does_not_come_through() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let mut polyglot = drawn(64, 64, format);
            polyglot.extend_from_slice(b"<script>alert(1)</script>PK\x03\x04");
            let redrawn = redrawn(&polyglot).unwrap();
            let has = |part: &[u8]| redrawn.windows(part.len()).any(|window| window == part);
            assert!(!has(b"script") && !has(b"PK\x03\x04"));
            assert_eq!(size(&redrawn), (64, 64));
        }
    }

    #[test]
    fn c054_what_is_no_picture_or_too_large_is_refused() {
        let png = drawn(64, 64, ImageFormat::Png);
        for (bytes, fault) in [
            (&b""[..], Fault::Kind),
            (
                b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>",
                Fault::Kind,
            ),
            (b"<!doctype html><title>x</title>", Fault::Kind),
            (
                b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,",
                Fault::Kind,
            ),
            (b"BM\x00\x00", Fault::Kind),
            (b"\x89PNG\r\n\x1a\n", Fault::Broken),
            (&png[..png.len() / 2], Fault::Broken),
            (b"\xff\xd8\xff\xe0 no picture", Fault::Broken),
            (b"RIFF\x10\x00\x00\x00WEBPVP8 ", Fault::Broken),
            (&drawn(2049, 8, ImageFormat::Png), Fault::Broken),
            (&drawn(8, 2049, ImageFormat::Jpeg), Fault::Broken),
        ] {
            assert_eq!(redrawn(bytes), Err(fault), "{:?}", &bytes[..bytes.len().min(16)]);
        }
    }
}

import Foundation
package import VolaryHost

/// Writes images in the formats of `-f`.
package enum ImageTable {
  package static func text(_ images: [ImageRecord], format: ListFormat) throws -> String {
    let table = TextTable(
      titles: ["NAME", "ARCHITECTURE", "SIZE", "CREATED", "SOURCE"], objects: images,
      encoder: ImageRecord.encoder
    ) { image in
      [
        image.name, image.architecture.rawValue, ByteCount.text(image.storedSize),
        image.createdAt.formatted(.iso8601), image.source,
      ]
    }
    return try table.text(format)
  }
}

internal import HostSystem

extension QCOW2Image {
  /// Makes an empty image of `size` bytes in a file, whose contents are lost. It is on stable storage afterwards; its
  /// name in its directory is the caller's to sync. Takes milliseconds whatever the size, without preallocation.
  package static func create(
    file: any ImageFile, size: UInt64, options: QCOW2Options = QCOW2Options()
  ) throws(DiskImageError) {
    var header = try plan(file.name, size: size, options)
    let geometry = QCOW2Geometry(header)
    do throws(Errno) {
      // Without its first bytes it is no image: those come last.
      let isDevice = (try? file.resize(to: 0)) == nil
      // The header, the refcount table, its blocks and the L1 table, in this order.
      let l1Clusters = geometry.clusters(for: UInt64(header.l1Size) * 8)
      var blocks: UInt64 = 1
      var tableClusters: UInt64 = 1
      var total: UInt64 = 0
      while true {
        total = 1 + tableClusters + blocks + l1Clusters
        let blocksNeeded = (total + (1 << geometry.blockBits - 1)) >> geometry.blockBits
        let tableNeeded = geometry.clusters(for: blocksNeeded * 8)
        if blocksNeeded <= blocks, tableNeeded <= tableClusters { break }
        blocks = max(blocks, blocksNeeded)
        tableClusters = max(tableClusters, tableNeeded)
      }
      header.refcountTableOffset = geometry.clusterSize
      header.refcountTableClusters = UInt32(clamping: tableClusters)
      header.l1Offset = header.l1Size == 0 ? 0 : (1 + tableClusters + blocks) << geometry.clusterBits
      if isDevice {
        guard try file.size() >= total << geometry.clusterBits else { throw Errno.noSpace }
        try file.writeZeroes(at: 0, count: total << geometry.clusterBits, mayUnmap: false)
        try file.sync()
      } else {
        try file.resize(to: total << geometry.clusterBits)
      }
      let firstBlock = 1 + tableClusters
      try file.write(
        (0..<blocks).map { (firstBlock + $0) << geometry.clusterBits }[...], at: header.refcountTableOffset)
      for block in 0..<blocks {
        let first = block << geometry.blockBits
        let used = min(total - first, 1 << geometry.blockBits)
        // Whole sectors of what is not zero.
        let byteCount = (Int((used << geometry.refcountOrder + 7) / 8) + 511) & ~511
        let contents = QCOW2Buffer(count: byteCount, isZero: true)
        for index in 0..<Int(used) { QCOW2Refcounts.store(1, contents.bytes, index, geometry.refcountOrder) }
        try file.write(
          at: (firstBlock + block) << geometry.clusterBits,
          from: UnsafeRawBufferPointer(contents[0..<byteCount]))
      }
      if header.backingOffset != 0 { try file.write(header.backingName, at: header.backingOffset) }
      try file.sync()
      try file.write(header.encodedFields(), at: 0)
      try file.sync()
    } catch {
      throw .system(name: file.name, operation: "make", error)
    }
    if options.preallocation == .metadata { try preallocate(file) }
  }

  /// The header of an image to be made, without the places of its tables.
  private static func plan(
    _ name: String, size: UInt64, _ options: QCOW2Options
  ) throws(DiskImageError) -> QCOW2Header {
    func bad(_ reason: String) -> DiskImageError { .badSize(name: name, size: size, reason: reason) }
    func unsupported(_ feature: String) -> DiskImageError {
      .unsupported(name: name, format: .qcow2, feature: feature)
    }
    guard size % sectorSize == 0, size > 0 else { throw bad("ask for a multiple of 512, greater than zero") }
    let clusterBits = UInt32(options.clusterSize.trailingZeroBitCount)
    guard options.clusterSize.nonzeroBitCount == 1, QCOW2Header.clusterBitsRange.contains(clusterBits),
      !options.hasExtendedL2 || clusterBits >= 14
    else { throw unsupported("clusters of \(options.clusterSize) bytes") }
    guard options.refcountBits.nonzeroBitCount == 1, (1...64).contains(options.refcountBits) else {
      throw unsupported("refcounts of \(options.refcountBits) bits")
    }
    var header = QCOW2Header()
    header.version = options.version
    header.clusterBits = clusterBits
    header.size = size
    header.refcountOrder = UInt32(options.refcountBits.trailingZeroBitCount)
    if options.version >= 3 {
      guard options.version == 3 else { throw unsupported("version \(options.version)") }
      header.compressionType = options.compression.rawValue
      if options.compression != .zlib { header.incompatible |= QCOW2Header.Features.compressionType }
      if options.hasExtendedL2 { header.incompatible |= QCOW2Header.Features.extendedL2 }
      if options.hasLazyRefcounts { header.compatible |= QCOW2Header.Features.lazyRefcounts }
    } else {
      guard options.version == 2, !options.hasExtendedL2, !options.hasLazyRefcounts,
        options.refcountBits == 16,
        options.compression == .zlib
      else { throw unsupported("options that version 2 does not have") }
    }
    let geometry = QCOW2Geometry(header)
    guard size < 1 << 60, geometry.l1Entries(for: size) <= QCOW2Header.maximumL1Entries else {
      throw bad("clusters of \(options.clusterSize) bytes are too small for it")
    }
    header.l1Size = UInt32(geometry.l1Entries(for: size))
    if let format = options.backingFormat, options.backingName != nil {
      guard format.utf8.count <= 15 else { throw unsupported("a backing format called \(format)") }
      header.extensions.append(.init(type: QCOW2Header.Extension.backingFormat, data: Array(format.utf8)))
    }
    if let backing = options.backingName {
      guard options.preallocation == .off else { throw unsupported("preallocation over a backing file") }
      header.backingName = Array(backing.utf8)
      // In sectors of its own, so that the first can change at once, where clusters have room for that.
      let fields = UInt64(header.encodedFields().count)
      header.backingOffset = 512 + 1024 <= options.clusterSize ? 512 : fields
      guard (1...QCOW2Header.maximumNameLength).contains(header.backingName.count),
        header.backingOffset + UInt64(header.backingName.count) <= options.clusterSize
      else { throw unsupported("a backing file's name of \(header.backingName.count) bytes") }
    }
    return header
  }

  private static func preallocate(_ file: any ImageFile) throws(DiskImageError) {
    let image = try QCOW2Image(file)
    do {
      try image.preallocate()
      try image.close()
    } catch {
      throw .system(name: file.name, operation: "preallocate", error)
    }
  }

  /// Gives every cluster of the disk that has none a host cluster that reads as zero.
  private func preallocate() throws(Errno) {
    var position: UInt64 = 0
    while position < size {
      try commitIfMuch()
      let end = min(size, pieceEnd(from: position))
      let range = clusters(position..<end)
      try lock.withLock { () throws(Errno) in
        let table = try writableTable(Int(range.lowerBound >> geometry.l2Bits))
        var cluster = range.lowerBound
        while cluster < range.upperBound {
          let run = try refcounts.allocate(upTo: range.upperBound - cluster)
          for host in run {
            let (page, index) = try entry(of: cluster, in: table)
            var state = QCOW2Cluster()
            state.host = host << geometry.clusterBits
            state.isCopied = true
            state.allocated = geometry.allSubclusters
            set(state, page, index)
            cluster += 1
          }
          let fileEnd = run.upperBound << geometry.clusterBits
          if fileEnd > file.size {
            try file.file.resize(to: fileEnd)
            file.grown(to: fileEnd)
          }
        }
      }
      hasNewClusters = true
      position = end
    }
  }
}

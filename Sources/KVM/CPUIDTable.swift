internal import CHost
internal import Glibc
internal import HostSystem

/// What the CPUID instruction answers (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E).
package struct CPUIDTable: Codable, Equatable, Sendable {
  /// The answer to one leaf, or to one subleaf of it.
  package struct Entry: Codable, Equatable, Sendable {
    package var function: UInt32
    package var index: UInt32
    /// Whether the answer depends on the subleaf asked for in ECX.
    package var hasIndex: Bool
    package var eax: UInt32
    package var ebx: UInt32
    package var ecx: UInt32
    package var edx: UInt32

    package init(
      function: UInt32, index: UInt32? = nil, eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0,
      edx: UInt32 = 0
    ) {
      self.function = function
      self.index = index ?? 0
      hasIndex = index != nil
      (self.eax, self.ebx, self.ecx, self.edx) = (eax, ebx, ecx, edx)
    }
  }

  package var entries: [Entry]

  package init(entries: [Entry]) { self.entries = entries }

  /// The answer to a leaf; nil when the table has none.
  package subscript(function: UInt32, index: UInt32 = 0) -> Entry? {
    entries.first { $0.function == function && (!$0.hasIndex || $0.index == index) }
  }

  /// Changes the answer to a leaf, or to one of its subleaves, if there is one.
  mutating func change(_ function: UInt32, _ index: UInt32 = 0, _ body: (inout Entry) -> Void) {
    let place = entries.firstIndex { $0.function == function && (!$0.hasIndex || $0.index == index) }
    if let place { body(&entries[place]) }
  }

  /// Puts new answers in the place of all that the leaf has.
  mutating func replace(_ function: UInt32, with new: [Entry]) {
    entries.removeAll { $0.function == function }
    entries += new
  }
}

extension CPUIDTable {
  /// Words before the entries of struct kvm_cpuid2, and words of an entry.
  private static let headerWords = 1
  private static let entryWords = MemoryLayout<kvm_cpuid_entry2>.size / 8

  /// What KVM supports on this host (KVM_GET_SUPPORTED_CPUID).
  init(supportedBy device: Descriptor) throws(KVMError) {
    var room = 256
    while true {
      var words = [UInt64](repeating: 0, count: Self.headerWords + room * Self.entryWords)
      words[0] = UInt64(room)
      do throws(KVMError) { try device.request(.getSupportedCPUID, words: &words) } catch {
        guard error == .failed(request: KVMRequest.getSupportedCPUID.name, Errno(E2BIG)), room < 1 << 14
        else {
          throw error
        }
        room *= 2
        continue
      }
      let count = min(room, Int(UInt32(truncatingIfNeeded: words[0])))
      self.init(
        entries: words.withUnsafeBytes { bytes in
          (0..<count).map { number in
            Entry(
              bytes.load(
                fromByteOffset: (Self.headerWords + number * Self.entryWords) * 8, as: kvm_cpuid_entry2.self))
          }
        })
      return
    }
  }

  /// The table as struct kvm_cpuid2.
  package var words: [UInt64] {
    var words = [UInt64](repeating: 0, count: Self.headerWords + entries.count * Self.entryWords)
    words[0] = UInt64(entries.count)
    words.withUnsafeMutableBytes { bytes in
      for (number, entry) in entries.enumerated() {
        bytes.storeBytes(
          of: entry.kernelForm, toByteOffset: (Self.headerWords + number * Self.entryWords) * 8,
          as: kvm_cpuid_entry2.self)
      }
    }
    return words
  }
}

extension CPUIDTable.Entry {
  fileprivate init(_ form: kvm_cpuid_entry2) {
    self.init(
      function: form.function,
      index: form.flags & UInt32(KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0 ? form.index : nil,
      eax: form.eax, ebx: form.ebx, ecx: form.ecx, edx: form.edx)
  }

  fileprivate var kernelForm: kvm_cpuid_entry2 {
    var form = kvm_cpuid_entry2()
    form.function = function
    form.index = index
    form.flags = hasIndex ? UInt32(KVM_CPUID_FLAG_SIGNIFCANT_INDEX) : 0
    (form.eax, form.ebx, form.ecx, form.edx) = (eax, ebx, ecx, edx)
    return form
  }
}

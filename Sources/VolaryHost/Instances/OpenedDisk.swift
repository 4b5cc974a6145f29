internal import Glibc
package import HostSystem
package import MachineControl

/// The files of an instance's disk, open, on their way to its machine.
package struct OpenedDisk {
  private let chain: DiskChain
  private let files: [Descriptor]
  private let isReadOnly: Bool

  /// Opens the first to write, unless it is read-only, and the others to read, and locks each for that unless a machine has them already.
  package init(
    _ chain: DiskChain, of instance: String, locks: Bool = true, isReadOnly: Bool = false
  ) throws(VolaryError) {
    self.chain = chain
    self.isReadOnly = isReadOnly
    var files: [Descriptor] = []
    for (index, layer) in chain.layers.enumerated() {
      let isTop = index == 0 && !isReadOnly
      do throws(Errno) {
        let file = try Descriptor.open(layer.path, isTop ? O_RDWR : O_RDONLY)
        files.append(file)
      } catch {
        throw VolaryError(
          VolaryError.Code(error), "\(instance): cannot open the disk \(layer.path): \(error)")
      }
      if !locks { continue }
      do throws(Errno) { try files[index].lock(exclusive: isTop) } catch {
        throw VolaryError(.conflict, "\(instance): the disk \(layer.path) is in use (\(error))")
      }
    }
    self.files = files
  }

  /// What a machine is told of it; `add` gives each file its place among those that are handed over.
  package func disk(
    serial: String = MachineLauncher.rootDiskSerial, _ add: (Descriptor) -> Int
  ) -> MachineConfiguration.Disk {
    let first = add(files[0])
    let layers = zip(files, chain.layers).dropFirst().map { file, layer in
      MachineConfiguration.Disk.Layer(add(file), layer.format == .raw ? .raw : .qcow2)
    }
    return .init(
      file: first, layers: layers, format: chain.top.format == .raw ? .raw : .qcow2,
      size: chain.size & ~511, readOnly: isReadOnly, waitsForRoom: true, serial: serial)
  }
}

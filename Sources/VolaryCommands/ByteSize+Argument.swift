internal import ArgumentParser
internal import VolaryHost

extension ByteSize: ExpressibleByArgument {
  package init?(argument: String) { self.init(argument) }
  package var defaultValueDescription: String { description }
}

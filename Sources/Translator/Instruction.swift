/// One instruction of the intermediate representation, and a guest instruction once decoded: a flat
/// value of sixteen bytes.
///
/// Registers are numbered by the front end (see ``ContextLayout``): 0 to 31 the integer file, 32 to
/// 63 the floating-point file. Register 0 reads as zero; writes to it are dropped.
@usableFromInline package struct Instruction: Equatable, Sendable, BitwiseCopyable {
  @usableFromInline package var operation: Operation
  /// Where the result goes; 0 when there is none.
  @usableFromInline package var destination: UInt8
  @usableFromInline package var a: UInt8
  @usableFromInline package var b: UInt8
  @usableFromInline package var c: UInt8
  /// Rounding mode, ordering bits or the front end's own.
  @usableFromInline package var info: UInt8
  /// Bytes of the guest instruction: its address plus this is the next one's.
  @usableFromInline package var length: UInt8
  /// The front end's own: which row of its table this came from, for disassembly (low 8 bits).
  @usableFromInline package var reserved: UInt8 = 0
  @usableFromInline package var imm: Int64

  @inlinable package init(
    _ operation: Operation, destination: UInt8 = 0, a: UInt8 = 0, b: UInt8 = 0, c: UInt8 = 0,
    info: UInt8 = 0, length: UInt8 = 4, imm: Int64 = 0
  ) {
    self.operation = operation
    self.destination = destination
    self.a = a
    self.b = b
    self.c = c
    self.info = info
    self.length = length
    self.imm = imm
  }

  /// Of a constant, and of an access without a base register: whether `imm` is a guest address that was made of the
  /// instruction's own, and so is another one in a copy of the block.
  var isPlace: Bool {
    get { c == 1 }
    set { c = newValue ? 1 : 0 }
  }
}

// Labels, and the jumps to them.
extension X86Assembler {
  /// A label that is not yet bound. When there is no more room for labels, `labelsExhausted` turns
  /// true and every further label is one and the same.
  @inlinable package mutating func newLabel() -> Label {
    let id = labelCount
    guard id < labelCapacity else {
      labelsExhausted = true
      return Label(id: Int32(truncatingIfNeeded: labelCapacity))
    }
    labels[id] = LabelState()
    labelCount = id &+ 1
    return Label(id: Int32(truncatingIfNeeded: id))
  }

  /// Forgets all labels, and the jumps that still wait for one.
  @inlinable package mutating func resetLabels() {
    labelCount = 0
    labels[labelCapacity] = LabelState()
    pendingFixups = 0
  }

  /// Whether `label` has a place.
  @inlinable package func isBound(_ label: Label) -> Bool {
    labels[Int(label.id)].offset != LabelState.unbound
  }

  /// Where `label` is bound, from the buffer's start.
  @inlinable package func offset(of label: Label) -> Int? {
    isBound(label) ? Int(labels[Int(label.id)].offset) : nil
  }

  /// Puts `label` at the cursor and resolves the jumps that wait for it. A label is bound once.
  @inlinable package mutating func bind(_ label: Label) {
    let index = Int(label.id)
    precondition(!isBound(label) || labelsExhausted, "a label is bound once")
    let waits =
      labels[index].nearChain != LabelState.noField
      || labels[index].shortChain != LabelState.unbound
    labels[index].offset = Int32(truncatingIfNeeded: offset)
    if waits { resolve(index) }
  }

  /// Fills the fields that wait for a label that was just bound.
  @usableFromInline
  mutating func resolve(_ index: Int) {
    // Behind an overflow instructions overwrite each other, and the chains with them.
    guard !overflowed else { return }
    let target = offset
    var near = labels[index].nearChain
    while near != LabelState.noField {
      let field = start + Int(near >> 3)
      let following = UnsafeRawPointer(field).loadUnaligned(as: UInt32.self)
      field.store(Int32(truncatingIfNeeded: target - Int(near >> 3) - 4 - Int(near & 7)))
      pendingFixups -= 1
      near = following
    }
    var short = Int(labels[index].shortChain)
    while short >= 0 {
      let back = Int(start[short])
      let distance = target - short - 1
      if distance > 127 { outOfReach = true }
      start[short] = UInt8(truncatingIfNeeded: distance)
      pendingFixups -= 1
      short = back == 0 ? -1 : short - back
    }
    labels[index].nearChain = LabelState.noField
    labels[index].shortChain = LabelState.unbound
  }

  /// Writes the 32-bit field of an operand relative to the instruction's end, which is `trailing`
  /// bytes behind the field.
  @usableFromInline
  mutating func writeNearField(at place: UnsafeMutablePointer<UInt8>, to label: Label, trailing: Int) {
    let index = Int(label.id)
    let field = place - start
    if labels[index].offset != LabelState.unbound {
      place.store(labels[index].offset &- Int32(truncatingIfNeeded: field &+ 4 &+ trailing))
    } else {
      place.store(labels[index].nearChain)
      labels[index].nearChain = UInt32(truncatingIfNeeded: field &<< 3 | trailing)
      pendingFixups &+= 1
    }
  }

  /// Writes the 8-bit field of a short jump.
  @usableFromInline
  mutating func writeShortField(at place: UnsafeMutablePointer<UInt8>, to label: Label) {
    let index = Int(label.id)
    let field = place - start
    if labels[index].offset != LabelState.unbound {
      let distance = Int(labels[index].offset) &- field &- 1
      if distance < -128 { outOfReach = true }
      place.pointee = UInt8(truncatingIfNeeded: distance)
    } else {
      let before = Int(labels[index].shortChain)
      let back = before < 0 ? 0 : field &- before
      // The label comes later still: the field before cannot reach it.
      if back > 127 { outOfReach = true }
      place.pointee = UInt8(truncatingIfNeeded: back)
      labels[index].shortChain = Int32(truncatingIfNeeded: field)
      pendingFixups &+= 1
    }
  }

  /// Whether `label` is bound and a jump of two bytes from the cursor reaches it.
  @inlinable @inline(__always)
  func isShort(_ label: Label) -> Bool {
    let target = labels[Int(label.id)].offset
    return target != LabelState.unbound && Int(target) &- offset &- 2 >= -128
  }

  // MARK: - Jumps to labels

  /// `jmp` to a label: two bytes where a bound label is near, otherwise five.
  @inlinable package mutating func jump(to label: Label) {
    if isShort(label) {
      jumpShort(to: label)
    } else {
      next.pointee = 0xE9
      writeNearField(at: next + 1, to: label, trailing: 0)
      advance(to: next + 5)
    }
  }

  /// `jcc` to a label: two bytes where a bound label is near, otherwise six.
  @inlinable package mutating func jump(_ condition: Condition, to label: Label) {
    if isShort(label) {
      jumpShort(condition, to: label)
    } else {
      next.store(0x800F | UInt16(condition.code) &<< 8)
      writeNearField(at: next + 2, to: label, trailing: 0)
      advance(to: next + 6)
    }
  }

  /// `jmp` to a label in two bytes; `outOfReach` turns true if it is further away than 127 bytes.
  @inlinable package mutating func jumpShort(to label: Label) {
    next.pointee = 0xEB
    writeShortField(at: next + 1, to: label)
    advance(to: next + 2)
  }

  /// `jcc` to a label in two bytes; `outOfReach` turns true if it is further away than 127 bytes.
  @inlinable package mutating func jumpShort(_ condition: Condition, to label: Label) {
    next.pointee = 0x70 | condition.code
    writeShortField(at: next + 1, to: label)
    advance(to: next + 2)
  }

  /// `call` of a label.
  @inlinable package mutating func call(_ label: Label) {
    next.pointee = 0xE8
    writeNearField(at: next + 1, to: label, trailing: 0)
    advance(to: next + 5)
  }

  /// `lea`: the executable address of a label.
  @inlinable package mutating func lea(_ destination: Register, _ label: Label) {
    lea(.w64, destination, Address(label))
  }
}

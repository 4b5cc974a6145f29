import Assembler

/// Scalar arithmetic with three operands, with every register.
func avxCases() -> [EncodingCase] {
  var list = CaseList()
  for operation in ScalarOperation.allCases {
    for precision in Precision.allCases {
      let mnemonic = "v\(operation)\(precision == .double ? "sd" : "ss")"
      let size = precision == .double ? "QWORD PTR " : "DWORD PTR "
      for first in XMM.allCases {
        for second in XMM.allCases {
          for third in someXMM {
            list.add("\(mnemonic) \(name(first)),\(name(second)),\(name(third))") {
              $0.scalar(operation, precision, first, second, third)
            }
          }
        }
        for memory in Memory.some {
          list.add("\(mnemonic) \(name(first)),xmm5,\(size)\(memory.text)") {
            $0.scalar(operation, precision, first, .xmm5, memory.address)
          }
        }
      }
    }
  }
  return list.cases
}

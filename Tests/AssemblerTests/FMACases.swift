import Assembler

/// All fused multiply-adds, by operation with every register and by mnemonic.
func fmaCases() -> [EncodingCase] {
  var list = CaseList()
  for operation in FusedOperation.allCases {
    for form in FusedForm.allCases {
      for precision in Precision.allCases {
        let digits = "\(form)".dropFirst()
        let mnemonic = "vf\(operation)\(digits)\(precision == .double ? "sd" : "ss")"
        let size = precision == .double ? "QWORD PTR " : "DWORD PTR "
        for first in XMM.allCases {
          for second in XMM.allCases {
            for third in someXMM {
              list.add("\(mnemonic) \(name(first)),\(name(second)),\(name(third))") {
                $0.fma(operation, form, precision, first, second, third)
              }
            }
          }
          for memory in Memory.some {
            list.add("\(mnemonic) \(name(first)),xmm5,\(size)\(memory.text)") {
              $0.fma(operation, form, precision, first, .xmm5, memory.address)
            }
          }
        }
      }
    }
  }
  let memory = Address(base: .rdx)
  list.add("vfmadd132sd xmm1,xmm12,xmm3") { $0.vfmadd132sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd132sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmadd132sd(.xmm1, .xmm12, memory) }
  list.add("vfmadd132ss xmm1,xmm12,xmm3") { $0.vfmadd132ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd132ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmadd132ss(.xmm1, .xmm12, memory) }
  list.add("vfmadd213sd xmm1,xmm12,xmm3") { $0.vfmadd213sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd213sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmadd213sd(.xmm1, .xmm12, memory) }
  list.add("vfmadd213ss xmm1,xmm12,xmm3") { $0.vfmadd213ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd213ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmadd213ss(.xmm1, .xmm12, memory) }
  list.add("vfmadd231sd xmm1,xmm12,xmm3") { $0.vfmadd231sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd231sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmadd231sd(.xmm1, .xmm12, memory) }
  list.add("vfmadd231ss xmm1,xmm12,xmm3") { $0.vfmadd231ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmadd231ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmadd231ss(.xmm1, .xmm12, memory) }
  list.add("vfmsub132sd xmm1,xmm12,xmm3") { $0.vfmsub132sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub132sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmsub132sd(.xmm1, .xmm12, memory) }
  list.add("vfmsub132ss xmm1,xmm12,xmm3") { $0.vfmsub132ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub132ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmsub132ss(.xmm1, .xmm12, memory) }
  list.add("vfmsub213sd xmm1,xmm12,xmm3") { $0.vfmsub213sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub213sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmsub213sd(.xmm1, .xmm12, memory) }
  list.add("vfmsub213ss xmm1,xmm12,xmm3") { $0.vfmsub213ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub213ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmsub213ss(.xmm1, .xmm12, memory) }
  list.add("vfmsub231sd xmm1,xmm12,xmm3") { $0.vfmsub231sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub231sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfmsub231sd(.xmm1, .xmm12, memory) }
  list.add("vfmsub231ss xmm1,xmm12,xmm3") { $0.vfmsub231ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfmsub231ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfmsub231ss(.xmm1, .xmm12, memory) }
  list.add("vfnmadd132sd xmm1,xmm12,xmm3") { $0.vfnmadd132sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd132sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmadd132sd(.xmm1, .xmm12, memory) }
  list.add("vfnmadd132ss xmm1,xmm12,xmm3") { $0.vfnmadd132ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd132ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmadd132ss(.xmm1, .xmm12, memory) }
  list.add("vfnmadd213sd xmm1,xmm12,xmm3") { $0.vfnmadd213sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd213sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmadd213sd(.xmm1, .xmm12, memory) }
  list.add("vfnmadd213ss xmm1,xmm12,xmm3") { $0.vfnmadd213ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd213ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmadd213ss(.xmm1, .xmm12, memory) }
  list.add("vfnmadd231sd xmm1,xmm12,xmm3") { $0.vfnmadd231sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd231sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmadd231sd(.xmm1, .xmm12, memory) }
  list.add("vfnmadd231ss xmm1,xmm12,xmm3") { $0.vfnmadd231ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmadd231ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmadd231ss(.xmm1, .xmm12, memory) }
  list.add("vfnmsub132sd xmm1,xmm12,xmm3") { $0.vfnmsub132sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub132sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmsub132sd(.xmm1, .xmm12, memory) }
  list.add("vfnmsub132ss xmm1,xmm12,xmm3") { $0.vfnmsub132ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub132ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmsub132ss(.xmm1, .xmm12, memory) }
  list.add("vfnmsub213sd xmm1,xmm12,xmm3") { $0.vfnmsub213sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub213sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmsub213sd(.xmm1, .xmm12, memory) }
  list.add("vfnmsub213ss xmm1,xmm12,xmm3") { $0.vfnmsub213ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub213ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmsub213ss(.xmm1, .xmm12, memory) }
  list.add("vfnmsub231sd xmm1,xmm12,xmm3") { $0.vfnmsub231sd(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub231sd xmm1,xmm12,QWORD PTR [rdx]") { $0.vfnmsub231sd(.xmm1, .xmm12, memory) }
  list.add("vfnmsub231ss xmm1,xmm12,xmm3") { $0.vfnmsub231ss(.xmm1, .xmm12, .xmm3) }
  list.add("vfnmsub231ss xmm1,xmm12,DWORD PTR [rdx]") { $0.vfnmsub231ss(.xmm1, .xmm12, memory) }
  return list.cases
}

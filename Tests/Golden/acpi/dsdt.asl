// The DSDT of ACPIBoard in Tests/DevicesTests/PC: what the devices' objects have to be, written by hand.
DefinitionBlock ("", "DSDT", 2, "VOLARY", "VOLARYPC", 0x00000001)
{
    Name (_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
        // Power: the button, and the device whose interrupt says that it was pressed.
        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
        }

        Device (GED)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 9 }
            })
            OperationRegion (EREG, SystemIO, 0x0602, 1)
            Field (EREG, ByteAcc, NoLock, Preserve) { ESTS, 8 }
            Method (_EVT, 1, Serialized)
            {
                Local0 = ESTS
                If ((Local0 & 1)) { Notify (\_SB.PWRB, 0x80) }
                If ((Local0 & 2)) { Notify (\_SB.VGEN, 0x80) }
            }
        }

        Device (VGEN)
        {
            Name (_HID, "VLRY0001")
            Name (_CID, Package () { "VM_Gen_Counter", "VMGENCTR" })
            Name (_DDN, "VM_Gen_Counter")
            Name (ADDR, Package () { 0x000A1000, 0 })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 1, 2)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 8 }
            })
        }

        Device (PEVT)
        {
            Name (_HID, "QEMU0001")
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0505, 0x0505, 1, 1)
            })
            Name (_STA, 0x0B)
        }

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xC0000000, 0xE7FFFFFF, 0, 0x28000000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x0000000180000000, 0x000000417FFFFFFF, 0, 0x0000004000000000)
            })
            // INTA of device 1 is on the wire of INTB of device 0, and so on around.
            Name (_PRT, Package ()
            {
                Package () { 0x0001FFFF, 0, 0, 17 },
                Package () { 0x0001FFFF, 1, 0, 18 },
                Package () { 0x0001FFFF, 2, 0, 19 },
                Package () { 0x0001FFFF, 3, 0, 16 },
                Package () { 0x0002FFFF, 0, 0, 18 },
                Package () { 0x0002FFFF, 1, 0, 19 },
                Package () { 0x0002FFFF, 2, 0, 16 },
                Package () { 0x0002FFFF, 3, 0, 17 },
                Package () { 0x0003FFFF, 0, 0, 19 },
                Package () { 0x0003FFFF, 1, 0, 16 },
                Package () { 0x0003FFFF, 2, 0, 17 },
                Package () { 0x0003FFFF, 3, 0, 18 }
            })
            Method (_OSC, 4, Serialized)
            {
                CreateDWordField (Arg3, 0, CDW1)
                If ((Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766")))
                {
                    CreateDWordField (Arg3, 8, CDW3)
                    Local0 = (CDW3 & 0x1F)
                    If ((Arg1 != 1)) { CDW1 = (CDW1 | 8) }
                    If ((CDW3 != Local0)) { CDW1 = (CDW1 | 0x10) }
                    CDW3 = Local0
                }
                Else
                {
                    CDW1 = (CDW1 | 4)
                }
                Return (Arg3)
            }
        }

        Device (MCFG)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE8000000, 0x00100000)
            })
        }
    }
}

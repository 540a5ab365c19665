package lb

import "testing"

func TestAMACIsReadAsItIsWritten(t *testing.T) {
	want := MAC{2, 0, 0x5e, 0x10, 0, 0xff}
	for _, text := range []string{want.String(), "02:00:5E:10:00:FF"} {
		if got, ok := ParseMAC(text); !ok || got != want {
			t.Errorf("ParseMAC(%s) = %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "02:00:5e:10:00", "02:00:5e:10:00:ff:00:00", "2:0:5e:10:0:ff", "02-00-5e-10-00-ff", "02:00:5e:10:00:fg"} {
		if got, ok := ParseMAC(text); ok {
			t.Errorf("ParseMAC(%q) = %v, want none", text, got)
		}
	}
}

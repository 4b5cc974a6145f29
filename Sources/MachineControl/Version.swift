/// The version of Volary that all its programs report.
package let volaryVersion = "0.1.0"

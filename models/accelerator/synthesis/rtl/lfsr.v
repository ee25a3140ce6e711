// A linear-feedback shift register that moves STEPS places a cycle: its low STEPS bits are new.
module lfsr #(
    parameter W = 16,
    parameter TAPS = 16'hD008,  // bit i - 1 for a term x^i of the polynomial
    parameter STEPS = 8
) (
    input clk,
    input load,
    input [W-1:0] seed,  // not zero
    output [W-1:0] state
);
    localparam [W-1:0] MASK = TAPS;
    reg [W-1:0] next;
    integer i;
    always @* begin
        next = state;
        for (i = 0; i < STEPS; i = i + 1) next = {next[W-2:0], ^(next & MASK)};
    end
    register #(.W(W)) shifted (.clk(clk), .d(load ? seed : next), .q(state));
endmodule

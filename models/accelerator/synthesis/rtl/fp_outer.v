// The outer accumulator of chunked sums: an adder that DEPTH running sums share, one a cycle.
//
// With `valid`, the chunk's sum `addend` joins the running sum number `index`, which it replaces
// where the chunk is the `first`.
module fp_outer #(
    parameter EA = 5,         // the chunk sums' format
    parameter MA = 4,
    parameter SUBNORMALSA = 1,
    parameter E = 6,
    parameter M = 9,
    parameter SUBNORMALS = 1,
    parameter BIAS = -16,     // bias A - the running sums'
    parameter ROUNDING = 0,
    parameter R = 1,
    parameter DEPTH = 1,
    parameter I = DEPTH > 1 ? $clog2(DEPTH) : 1  // derived: bits of the index
) (
    input clk,
    input valid,
    input first,
    input [I-1:0] index,
    input [EA+MA:0] addend,
    input [R-1:0] random,
    output [E+M:0] sum  // of this index, before the chunk joins
);
    reg [E+M:0] sums [0:DEPTH-1];
    wire [E+M:0] next;
    assign sum = sums[index];
    fp_add_to #(
        .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA), .E(E), .M(M), .SUBNORMALS(SUBNORMALS),
        .BIAS(BIAS), .ROUNDING(ROUNDING), .R(R)
    ) add (
        .addend(addend), .accumulator(first ? {(E+M+1){1'b0}} : sum), .random(random), .sum(next)
    );
    always @(posedge clk) if (valid) sums[index] <= next;
endmodule

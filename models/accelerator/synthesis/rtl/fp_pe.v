// A processing element: fp_mac and the register of its running sum, which starts anew on `first`.
module fp_pe #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = -1,
    parameter ROUNDING = 0,
    parameter R = 1
) (
    input clk,
    input first,
    input [EA+MA:0] a,
    input [EB+MB:0] b,
    input [R-1:0] random,
    output [E+M:0] sum
);
    wire [E+M:0] next;
    fp_mac #(
        .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA), .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB),
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .BIAS(BIAS), .ROUNDING(ROUNDING), .R(R)
    ) mac (
        .a(a), .b(b), .accumulator(first ? {(E+M+1){1'b0}} : sum), .random(random), .sum(next)
    );
    register #(.W(E + M + 1)) running (.clk(clk), .d(next), .q(sum));
endmodule

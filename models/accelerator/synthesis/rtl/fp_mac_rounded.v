// round(accumulator + round(a·b)): the product is first brought to the format (1, EP, MP).
module fp_mac_rounded #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter EP = 5,
    parameter MP = 4,
    parameter SUBNORMALSP = 1,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIASP = -1,     // bias A + bias B - the rounded product's
    parameter BIAS = 0,       // the rounded product's - the accumulator's
    parameter ROUNDINGP = 0,  // 0 nearest, ties to even; 1 toward zero
    parameter ROUNDING = 0,   // the same; 2 stochastic
    parameter R = 1           // random bits of a stochastic rounding
) (
    input [EA+MA:0] a,
    input [EB+MB:0] b,
    input [E+M:0] accumulator,
    input [R-1:0] random,
    output [E+M:0] sum
);
    wire [EP+MP:0] product;
    fp_mul #(
        .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA), .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB),
        .E(EP), .M(MP), .SUBNORMALS(SUBNORMALSP), .BIAS(BIASP), .ROUNDING(ROUNDINGP)
    ) multiply (.a(a), .b(b), .random(1'b0), .product(product));
    fp_add_to #(
        .EA(EP), .MA(MP), .SUBNORMALSA(SUBNORMALSP), .E(E), .M(M), .SUBNORMALS(SUBNORMALS),
        .BIAS(BIAS), .ROUNDING(ROUNDING), .R(R)
    ) add (.addend(product), .accumulator(accumulator), .random(random), .sum(sum));
endmodule
